"""A/B test of a step: how likely each rate of each variant is, and the differences between variants."""

from math import ceil, lgamma

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames._format import amount, count, counted, interval, percent, probability, signed_points, typical
from outreach_frames.errors import DataError
from outreach_frames.plots._axes import (
    AXIS_ROOM,
    HALO,
    HEADER_ROOM,
    Column,
    Estimate,
    empty,
    estimates,
    lay_rows,
    no_data,
    numbers_as,
    rate_axis,
    top_of,
)
from outreach_frames.plots._input import (
    Floats,
    Names,
    axis_title,
    confidence,
    labels,
    mark_of,
    metric,
    numbers,
    parameters,
    require,
    subtitle,
)
from outreach_frames.plots._layout import Page, fold, line_height, lines_that_fit, open_page, picture
from outreach_frames.plots._style import FAINT, INK, LABEL_PT, MUTED, SMALL_PT, Mark

_DIFFERENCE = ("diff", "diff_lo", "diff_hi")
_POSTERIOR = ("posterior_alpha", "posterior_beta")
_TEST_COLUMNS = (
    *("step_id", "template_id", "n", "x", "rate", "lo", "hi", *_POSTERIOR),
    *("rival_id", *_DIFFERENCE, "p_better", "verdict"),
)
_TEST_ROW, _STRIP_ROW, _STRIP_AXIS = 0.6, 0.36, 0.42
_CURVE, _BASE, _POINT = 0.66, 0.22, 0.33
_GRID = 400
_TOO_EARLY = "too early"
_YEAR_D = 365
_VERDICTS = {
    _TOO_EARLY: "too early to tell",
    "broken split": "broken split: the variants did not get equal shares, so read no rate",
    "undecided": "undecided: neither a difference nor its absence is shown",
}


def plot_ab_test(
    test: pd.DataFrame,
    *,
    step: int | None = None,
    names: Names | None = None,
    per_day: float | None = None,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot how likely each rate of each variant is, and below it the differences between variants with the zero line.

    Parameters
    ----------
    test
        Result of `stats.ab_test`: one row for each variant of each step.
    step
        Which step to draw, by ``step_id``; default: the one with most enrollments.
    names
        What the steps are called, by ``step_id``, such as ``{7: "step 1 of Cold outreach"}``. Default: a column
        ``step_name``, or columns ``order`` and ``sequence_name``, where they were joined to the result; else the id.
    per_day
        Enrollments that reach the step in a day, all variants together: the verdict then says in how many days the
        plan is reached at this pace [enrollments/day].
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide, as high as its rows need.

    Returns
    -------
    ax : Axes
        Variants lie at 0, 1, 2 … on the y axis, each a half-density above its rate and interval; rates as fractions on
        the x axis. The inset in ``ax.child_axes`` holds the differences. A variant without trials has an open tick
        "no data".

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.ab_test`.
    DataError
        The step is not in the result.

    Notes
    -----
    Curves: the posterior density of the rate, a Beta distribution with the test's prior. Intervals: Wilson's, for
    differences Newcombe's.

    Examples
    --------
    >>> test = stats.ab_test(mailings, sequence_templates=sequence_templates, templates=templates)
    >>> ax = plots.plot_ab_test(test, step=int(test["step_id"].iloc[0]))
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Reply rate of the variants of the step with id 1
    """
    require(test, _TEST_COLUMNS, plot="plot_ab_test", source="stats.ab_test(...)", names=names)
    steps = test.groupby("step_id")["n"].sum().sort_values(ascending=False, kind="stable")
    if step is not None and step not in steps.index:
        present = ", ".join(str(present) for present in steps.index[:5])
        raise DataError(f"Step {step} is not in this test.", hint=f"It has the steps {present}.")
    chosen = step if step is not None or steps.empty else steps.index[0]
    arms = test[(test["step_id"] == chosen).fillna(value=False)]
    visible = lines_that_fit(ax, _TEST_ROW * 0.8 + _STRIP_ROW, fixed=AXIS_ROOM + HEADER_ROOM + _STRIP_AXIS)
    left_out = len(arms) - visible
    arms = arms.iloc[:visible]
    words = metric(str(parameters(test).get("metric") or "reply_rate"))
    letters = _letters(arms)
    variants = _arm_labels(arms, letters)
    title = f"{words.label} of the variants of {_step_label(arms, chosen, names)}" if letters else "Test of templates"
    differences = _differences(arms, letters)
    strip = line_height(LABEL_PT) * 2.4 + len(differences) * _STRIP_ROW + _STRIP_AXIS
    with picture():
        page = open_page(
            ax,
            title=title,
            subtitle=subtitle(
                test,
                f"1 of {counted(len(steps), 'step')} tested",
                counted(arms["n"].sum(), "enrollment"),
                *([f"{counted(left_out, 'variant')} not drawn"] if left_out > 0 else []),
                period=period,
            ),
            footnote=f"{words.label}: enrollments with a success at the step ÷ enrollments reached there. Curves: "
            f"how likely each rate is, given these counts. Lines: {confidence(test)} interval. Chance: that the "
            "variant named first in its row is better than the other.",
            height=max(len(arms), 1) * _TEST_ROW + AXIS_ROOM + HEADER_ROOM + strip,
        )
        if not letters:
            return empty(page, "No step with several templates in this period.")
        sizes = numbers(arms, "n")
        rates = zip(numbers(arms, "rate"), sizes, strict=True)
        columns = [
            Column("rate", [percent(rate, typical(sizes)) if n else "–" for rate, n in rates]),
            Column("n", [count(n) for n in sizes]),
        ]
        drawn = lay_rows(page, variants, columns, below=strip)
        drawn.set_xlim(0, top_of(numbers(arms, "hi"), numbers(arms, "rate")))
        rate_axis(drawn.xaxis, axis_title(words))
        _draw_posteriors(drawn, arms, mark_of(words))
        verdict = str(arms["verdict"].iloc[0])
        plan = _plan(arms, per_day if verdict == _TOO_EARLY else None)
        _draw_differences(page, drawn, differences, _VERDICTS.get(verdict, verdict) + plan)
        page.describe(
            f"{title}. {_describe_test(arms, variants, differences, verdict + ('' if per_day is None else plan))}"
        )
        return drawn


def _step_label(arms: pd.DataFrame, chosen: object, names: Names | None) -> str:
    """Say what a step is called: as the caller or the result names it, by its place in its sequence, or by its id."""
    by_id = {} if names is None else names
    own = {name: arms[name].iloc[0] for name in ("step_name", "order", "sequence_name") if name in arms.columns}
    present = {name: value for name, value in own.items() if not pd.isna(value)}
    if chosen in by_id and not pd.isna(by_id[chosen]):
        return str(by_id[chosen])
    if "step_name" in present:
        return str(present["step_name"])
    if {"order", "sequence_name"} <= set(present):
        return f"step {present['order']} of {present['sequence_name']}"
    return f"the step with id {chosen}"


def _letters(arms: pd.DataFrame) -> dict[int, str]:
    """Short names of the variants by template: their letters, else their ids."""
    letters = arms["variant"] if "variant" in arms.columns else arms["template_id"].astype(str)
    return dict(zip(arms["template_id"], letters, strict=True))


def _arm_labels(arms: pd.DataFrame, letters: dict[int, str]) -> list[str]:
    return [f"{letter} · {name}" for letter, name in zip(letters.values(), labels(arms, ["template_id"]), strict=True)]


def _plan(arms: pd.DataFrame, per_day: float | None) -> str:
    """Say how many enrollments the test needs and, at a pace, in how many days it has them."""
    needed = numbers(arms, "n_needed")[0] if "n_needed" in arms.columns else np.nan
    if np.isnan(needed):
        return ""
    plan = f"plan: {count(needed)} enrollments in each variant"
    missing = float(np.maximum(needed - numbers(arms, "n"), 0).max()) * len(arms)
    if per_day is None or not missing:
        return f" ({plan})"
    if not per_day > 0:
        return f" ({plan}; nobody reaches the step now)"
    days = ceil(missing / per_day)
    time = counted(days, "more day") if days <= _YEAR_D else counted(round(days / _YEAR_D), "more year")
    return f" ({plan}; about {time} at {amount(per_day)} a day)"


def _differences(arms: pd.DataFrame, letters: dict[int, str]) -> list[tuple[str, Estimate, float]]:
    """
    Label, difference with interval and chance of each variant against its rival.

    Of two variants the second row would be the first one turned round: only the better one's is kept.
    """
    rows = [
        (f"{letters[template]} − {letters.get(rival, '?')}", (diff, low, high), p_better)
        for template, rival, diff, low, high, p_better in zip(
            arms["template_id"],
            arms["rival_id"],
            *(numbers(arms, name) for name in (*_DIFFERENCE, "p_better")),
            strict=True,
        )
    ]
    return [max(rows, key=lambda row: np.nan_to_num(row[2]))] if len(rows) == 2 else rows  # noqa: PLR2004  a pair


def _draw_posteriors(ax: Axes, arms: pd.DataFrame, mark: Mark) -> None:
    grid = np.linspace(0, ax.get_xlim()[1], _GRID + 1)[1:]
    shapes = zip(*(numbers(arms, column) for column in _POSTERIOR), strict=True)
    curves = [_beta_density(grid, *shape) for shape in shapes]
    peak = max(curve.max() for curve in curves)
    bounds = zip(*(numbers(arms, name) for name in ("rate", "lo", "hi")), strict=True)
    for row, (rate, curve) in enumerate(zip(bounds, curves, strict=True)):
        if np.isnan(rate[0]):
            no_data(ax, row)
            continue
        base = row + _BASE
        ax.fill_between(grid, base, base - _CURVE * curve / peak, color=mark.fill, alpha=0.35, lw=0, gid="posterior")
        ax.plot(grid, base - _CURVE * curve / peak, color=mark.ink, lw=0.9)
        ax.axhline(base, color=FAINT, lw=0.6, zorder=0.5)
        estimates(ax, [row + _POINT], [rate], mark)


def _beta_density(rates: Floats, alpha: float, beta: float) -> Floats:
    constant = lgamma(alpha + beta) - lgamma(alpha) - lgamma(beta)
    inside = np.clip(rates, 1e-12, 1 - 1e-12)
    density: Floats = np.exp(constant + (alpha - 1) * np.log(inside) + (beta - 1) * np.log1p(-inside))
    return density


def _draw_differences(page: Page, above: Axes, differences: list[tuple[str, Estimate, float]], verdict: str) -> None:
    frame = page.within(above)
    rows = len(differences)
    strip = page.panel(frame.x0, _STRIP_AXIS, frame.width, rows * _STRIP_ROW)
    reach = max((abs(bound) for _, rate, _ in differences for bound in rate if not np.isnan(bound)), default=0.01)
    strip.set(xlim=(-1.15 * reach, 1.15 * reach), ylim=(rows - 0.5, -0.5))
    strip.set_yticks(range(rows), [label for label, _, _ in differences])
    rate_axis(strip.xaxis, "Difference [percentage points]")
    strip.xaxis.set_major_formatter(numbers_as(signed_points))
    strip.axvline(0, color=INK, lw=1.0, gid="zero")
    edge = page.width
    for row, (_, rate, p_better) in enumerate(differences):
        height = _STRIP_AXIS + (rows - row - 0.5) * _STRIP_ROW
        if np.isnan(rate[0]):
            no_data(strip, row)
            continue
        estimates(strip, [row + 0.2], [rate], Mark(MUTED, INK, "D", ""))
        text = f"{signed_points(rate[0])} ({signed_points(rate[1])} to {signed_points(rate[2])})"
        label = strip.text(rate[0], row - 0.08, text, size=SMALL_PT, ha="center", va="bottom", color=INK)
        label.set_path_effects(HALO)
        page.write(edge, height, probability(p_better), size=LABEL_PT, ha="right", va="center_baseline")
    top = _STRIP_AXIS + rows * _STRIP_ROW
    page.write(edge, top + 0.05, "chance", size=SMALL_PT, color=MUTED, ha="right")
    text = fold(f"Verdict: {verdict}", page.width - 0.6, lines=2, size=LABEL_PT, weight="bold")
    page.write(0, top + 0.05, text, size=LABEL_PT, weight="bold", color=INK, va="bottom")


def _describe_test(
    arms: pd.DataFrame, names: list[str], differences: list[tuple[str, Estimate, float]], verdict: str
) -> str:
    columns = (numbers(arms, name) for name in ("rate", "lo", "hi", "n"))
    rates = (f"{name}: {interval(*row)}" for name, row in zip(names, zip(*columns, strict=True), strict=True))
    gaps = (f"{label}: chance {probability(p_better)}" for label, _, p_better in differences)
    return f"{'; '.join(rates)}. {'; '.join(gaps)}. Verdict: {verdict}."
