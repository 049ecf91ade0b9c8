"""Whether accounts are covered: of the people known in each, how many were contacted and how many replied."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames._format import count, counted, percent, percent_extent, typical
from outreach_frames.plots._axes import Column, blocks, empty, lay_rows, no_data, open_rows, rate_axis
from outreach_frames.plots._input import Names, ends_in_words, labels, numbers, ranked, require, subtitle
from outreach_frames.plots._layout import page_width, picture
from outreach_frames.plots._small_multiples import draw_legend, legend_height
from outreach_frames.plots._style import ACTIVE, NONE, REPLY

_COVERAGE_COLUMNS = ("account_id", "prospects", "contacted", "replied", "coverage", "multi_threaded")
_LEGEND = {"known": ACTIVE, "contacted": NONE, "replied": REPLY}
_COVERAGE_BAR = 0.66


def plot_account_coverage(
    coverage: pd.DataFrame,
    *,
    names: Names | None = None,
    max_rows: int | None = 40,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot, for each account, which share of its known prospects was contacted and which replied.

    Parameters
    ----------
    coverage
        Result of `stats.account_coverage`, one row for each account.
    names
        Account names by id; default: the result's own names, else the ids.
    max_rows
        Where there are more accounts, both ends are drawn and the middle is summed up in one line; ``None`` draws all.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide, as high as its rows need.

    Returns
    -------
    ax : Axes
        Accounts lie at 0, 1, 2 … on the y axis, those with the highest coverage first, ties by known prospects; shares
        of the known prospects as fractions on the x axis. An account without prospects has an open tick "no data".

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.account_coverage`.

    Examples
    --------
    >>> coverage = stats.account_coverage(mailings, prospects=prospects, accounts=accounts)
    >>> ax = plots.plot_account_coverage(coverage, max_rows=10)
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Share of known prospects contacted
    """
    require(
        coverage, _COVERAGE_COLUMNS, plot="plot_account_coverage", source="stats.account_coverage(...)", names=names
    )
    on_file, contacted, replied = (numbers(coverage, column) for column in ("prospects", "contacted", "replied"))
    shares = numbers(coverage, "coverage")
    has_value = list(~np.isnan(shares))
    labeled = labels(coverage, ["account_id"], names=names)
    order = ranked(shares, on_file, labeled)
    multi = numbers(coverage, "multi_threaded") > 0
    whole = np.nansum(on_file)
    with picture():
        above = legend_height(list(_LEGEND), page_width())
        page, lines = open_rows(
            ax,
            order,
            names=labeled,
            has_value=has_value,
            max_rows=max_rows,
            above=above,
            title="Prospects contacted by account",
            subtitle=subtitle(
                coverage,
                counted(len(coverage), "account"),
                f"{counted(np.nansum(contacted), 'prospect')} contacted of {count(whole)} known",
                f"{counted(multi.sum(), 'account')} with two or more contacted",
                period=period,
            ),
            footnote="Coverage: prospects with a delivered mailing or a dialed call ÷ prospects known in the account. "
            "Each bar is 100 % of the known prospects. 2+: at least two contacted.",
        )
        if coverage.empty:
            return empty(page, "No accounts in this period.")
        n = typical(on_file)
        cells = [percent(value, n) if ok else "–" for value, ok in zip(shares, has_value, strict=True)]
        columns = [
            Column("coverage", lines.write(cells, lambda group: percent_extent(shares[list(group)], n))),
            Column("known", lines.write([count(number) for number in on_file])),
            Column("replied", lines.write([count(number) for number in replied])),
            Column("2+", lines.write(["✓" if many else "" for many in multi])),
        ]
        drawn = lay_rows(page, lines.names(labeled), columns, muted=lines.gaps, above=above)
        drawn.set_xlim(0, 1)
        rate_axis(drawn.xaxis, "Share of known prospects")
        draw_legend(page, _LEGEND)
        for line in lines.without(has_value):
            no_data(drawn, line)
        for people, gid in ((on_file, "known"), (contacted, "contacted"), (replied, "replied")):
            bars = (
                (0.0, line - _COVERAGE_BAR / 2, people[row] / on_file[row], _COVERAGE_BAR)
                for line, row in lines.drawn(has_value)
            )
            blocks(drawn, bars, _LEGEND[gid], gid=gid)
        texts = [f"{percent(value, n)} of {count(n)}" for value, n in zip(shares, on_file, strict=True)]
        page.describe(f"Share of known prospects contacted. {ends_in_words(order, shares, labeled, texts)}")
        return drawn
