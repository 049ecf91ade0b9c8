"""
What templates say: subjects as text, bodies as a recipient would see them, locked in.

A body is somebody else's HTML. It is shown in a frame of its own that runs no script, sends no form, opens no window
and, by its Content Security Policy, loads nothing: what is not in the body itself stays blank, so that no picture tells
its sender that it was looked at. A policy holds back neither a click on a link nor connections made in advance, for a
hint or an inner frame: elements that lead elsewhere are renamed.

Source: HTML Living Standard, section 4.8.5 (``sandbox``, ``srcdoc``); Content Security Policy Level 3.
"""

import re
from html import escape
from typing import Any

import pandas as pd

from outreach_frames._format import type_name
from outreach_frames.errors import DataError, MissingColumnError

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
BODIES = ("body_html", "body_text")
NO_BODIES = (
    'These data hold no bodies: they come only where they are asked for, as in of.fetch(org, "templates", fields="*"); '
    "the resources= of of.take_snapshot take the same option."
)
_LEADING_ELSEWHERE = re.compile(
    r"<(/?)(?=(?:a|area|base|embed|form|frame|iframe|link|meta|object)[\s/>])", re.IGNORECASE
)
_PAGE_HEAD = (
    f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    '<meta http-equiv="x-dns-prefetch-control" content="off"><base target="_blank">'
    "<style>x-a { color: #0B57D0; text-decoration: underline }</style>"
)
_TALL = 360
"""Height of a body's frame [pixels]; a longer one scrolls."""


class Messages:
    """
    Show templates side by side: name, subject and, where the data hold it, the body.

    Parameters
    ----------
    templates
        ``id``; ``name``, ``subject``, ``body_html`` and ``body_text`` where they are known.

    Raises
    ------
    DataError
        No DataFrame was given.
    MissingColumnError
        There is no ``id``.

    Examples
    --------
    >>> page = of.widgets.Messages(templates.head(2)).to_html()
    >>> page.count("Subject:")
    2
    """

    def __init__(self, templates: pd.DataFrame) -> None:
        if not isinstance(templates, pd.DataFrame):
            raise DataError(f"Messages cannot show {type_name(templates)}.", hint="Give the frame of templates.")
        if "id" not in templates.columns:
            raise MissingColumnError("id", needed_for="Messages", hint="Give the frame of templates.")
        self._templates = templates

    def to_html(self) -> str:
        """Return static HTML; what comes from the data is text, or inside a frame that runs and loads nothing."""
        cards = "".join(_card(row) for row in self._templates.to_dict("records"))
        has_bodies = any(column in self._templates.columns for column in BODIES)
        summary = "" if has_bodies else f"<p>{escape(NO_BODIES)}</p>"
        return f'<div style="display: flex; flex-wrap: wrap; gap: 16px; line-height: 1.5">{cards}</div>{summary}'

    def _repr_html_(self) -> str:
        return self.to_html()


def _card(template: dict[Any, Any]) -> str:
    name = _template_text(template, "name") or f"template {template['id']}"
    subject = _template_text(template, "subject")
    texts = f"<b>Subject:</b> {escape(subject)}" if subject else "No subject is known."
    return (
        f'<section style="flex: 1 1 320px; min-width: 0"><h4 style="margin: 0">{escape(name)}</h4>'
        f'<p style="margin: 4px 0; overflow-wrap: anywhere">{texts}</p>{_body(template, name)}</section>'
    )


def _body(template: dict[Any, Any], name: str) -> str:
    page, text = _template_text(template, "body_html"), _template_text(template, "body_text")
    if page:
        return locked_in(page, title=f"Body of {name}")
    if text:
        return f'<p style="white-space: pre-line; overflow-wrap: anywhere">{escape(text)}</p>'
    return "<p>The body is empty.</p>" if {*BODIES} & {*template} else ""


def _template_text(template: dict[Any, Any], column: str) -> str:
    value = template.get(column)
    return "" if value is None or pd.isna(value) else str(value).strip()


def locked_in(page: str, *, title: str) -> str:
    """Return a frame that shows somebody else's HTML and lets it do nothing; links look like links."""
    inert = _LEADING_ELSEWHERE.sub(r"<\1x-", page)
    document = f"<!DOCTYPE html><html><head>{_PAGE_HEAD}</head><body>{inert}</body></html>"
    return (
        f'<iframe sandbox referrerpolicy="no-referrer" title="{escape(title)}" srcdoc="{escape(document)}" '
        f'style="width: 100%; height: {_TALL}px; border: 1px solid #DADADA; background: white"></iframe>'
    )
