"""Fill pages from the package: a directive for rates, and links to public names that private modules define."""

from collections.abc import Iterator
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.autosummary import AutoLink
from sphinx.util.docutils import SphinxDirective

import outreach_frames as of
from outreach_frames.metrics import METRICS, Metric

PLACES = {name: f"outreach_frames.stats.{name}" for name in of.stats.__all__}
PLACES |= {name: f"outreach_frames.{name}" for name in of.__all__}
PLACES |= {name: f"outreach_frames.errors.{name}" for name in vars(of.errors) if name.endswith(("Error", "Warning"))}
"""Where the page of a public name is."""


class PublicName(AutoLink):
    """Link a name in single backticks: a public one from anywhere, any other as `autolink` does."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return a reference, or emphasis for what names nothing."""
        if self.text not in PLACES:
            return super().run()
        role = self.env.domains.python_domain.role("obj")
        return role("obj", self.rawtext, self.text, self.lineno, self.inliner, self.options, self.content)


class MetricDirective(SphinxDirective):
    """
    Show one entry of the registry of metrics.

    The argument is the column; the content says what the number does not say, and how the dashboard's differs.
    """

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"dashboard": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return a section for the metric."""
        name = self.arguments[0]
        metric = METRICS[name]
        rows = [*_rows(name, metric), ("Does not say", " ".join(self.content))]
        if dashboard := self.options.get("dashboard"):
            rows.append(("Outreach's dashboard", dashboard))
        text = [f"### {metric.label}", "", ":::{list-table}", ":class: metric", ":widths: 22 78", ""]
        for head, value in rows:
            text += [f"* - {head}", f"  - {value}"]
        return self.parse_text_to_nodes("\n".join([*text, ":::"]), allow_section_headings=True)


def _rows(name: str, metric: Metric) -> Iterator[tuple[str, str]]:
    """Return what the registry says of a metric, in the order of reading."""
    if metric.denominator:
        yield "Column", f"`{name}`, with `{name}_n`, `{name}_lo`, `{name}_hi`"
        yield "Numerator", metric.numerator
        yield "Denominator", metric.denominator
        note = metric.definition.removeprefix(f"{metric.numerator} / {metric.denominator}").strip(" ()")
        if note:
            yield "Note", note
        yield "One trial", metric.trials
    else:
        yield "Column", f"`{name}` [{metric.unit}]"
        yield "Counts", metric.definition
    yield "Trust", f"{metric.trust}: {metric.caveat}" if metric.caveat else metric.trust
    if metric.traps:
        yield "Bent by", ", ".join(f"[{code}](#checks)" for code in metric.traps)


def link_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Lead a name that some module imports to the page of the public name, wherever it is defined."""
    place = PLACES.get(node.get("reftarget", "").rpartition(".")[2])
    if place is None:
        return None
    domain = env.domains.python_domain
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", place, node, content)


def without_constructor(_app: Sphinx, what: str, *about: object) -> tuple[str, None] | None:
    """Show exceptions without the arguments that only the package itself passes."""
    signature = about[3]
    return ("", None) if what == "exception" and signature else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive, the links and the signatures."""
    app.add_directive("metric", MetricDirective)
    app.add_role("public", PublicName())
    app.connect("missing-reference", link_public_name)
    app.connect("autodoc-process-signature", without_constructor)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
