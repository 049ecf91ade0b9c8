"""
What the data do to a figure, trap by trap, and the warnings that say so.

A trap is something in an organization's data that bends a statistic without breaking it. `data_quality` looks for all
of them; a statistic that meets one warns once per call, with a count and a few ids, for frames in memory only: on
DuckDB, Dask, Spark and lazy polars the count would cost a pass over the data. The numbers are those of this project's
metric dictionary, part 1.4.
"""

import warnings
from collections.abc import Iterable
from typing import Any

from outreach_frames.errors import OutreachDataWarning

SHOWN = 5
"""How many ids stand in a message."""


class ContradictoryFlagsWarning(OutreachDataWarning):
    """T5, T14: mailings that bounced and were answered; ``bounce_policy`` decides what they count as."""


class CounterGapWarning(OutreachDataWarning):
    """T9: counters of the API above what the rows hold: mailings were deleted, or are not visible."""


class MachineOpenWarning(OutreachDataWarning):
    """T17: opens or clicks that look like a privacy proxy's or a security scanner's."""


class BlindMailboxWarning(OutreachDataWarning):
    """T18: mailboxes whose synchronization is broken, so that replies and bounces go unseen."""


class ImmatureCohortWarning(OutreachDataWarning):
    """T19: cohorts that have not had the time in which they could be answered."""


class NaiveTimestampWarning(OutreachDataWarning):
    """T21: instants without a time zone, read as UTC."""


class SyncTimeWarning(OutreachDataWarning):
    """T29: opportunities dated by their arrival in Outreach, since the CRM's date is missing."""


class MixedCurrencyWarning(OutreachDataWarning):
    """T30: amounts in several currencies, or none, which no sum may mix."""


class ChangedTemplateWarning(OutreachDataWarning):
    """Templates changed while they were compared; the API does not tell which text was sent when."""


def warn(category: type[OutreachDataWarning], what: str, ids: Iterable[Any], *, stacklevel: int = 3) -> None:
    """
    Warn once that a trap was met; nothing where no id is given.

    Parameters
    ----------
    category
        The trap's warning.
    what
        What the ids have in common, and what it does to the figures.
    ids
        Ids of all rows concerned.
    stacklevel
        3 where the public function itself calls.
    """
    found = sorted(ids)
    if found:
        shown = ", ".join(map(str, found[:SHOWN])) + (" …" if len(found) > SHOWN else "")
        warnings.warn(category(f"{what}: {len(found):,} (id {shown})."), stacklevel=stacklevel)


EFFECTS = {
    1: "prospect counters start anew at the last touch and count events: no rate can be made of them",
    2: "opens divided by deliveries would exceed 100 %; rates count each mailing once",
    3: "opened_at is the latest open: times to first open are upper bounds",
    4: "clicks are anyone's, after forwarding too: no sign of one person's interest",
    5: "delivered and bounced at once would count twice; an answer decides, else the bounce",
    6: "reply rates by mailing, enrollment and prospect differ; name the grain",
    7: "a reply stops one sequence only, and which of them earned it is ambiguous",
    8: "a template's numbers are counted on another template, or start anew on a copy",
    9: "counters exceed the rows: mailings were deleted or are not visible",
    10: "one-off mail lifts the rates of people and teams, and belongs to no sequence",
    11: "people are undercounted: mail to nobody known counts as mailings only",
    12: "open and click rates leave untracked mailings out of their denominators",
    13: "which step gets the credit for a reply depends on the rule",
    14: "the enrollment has two outcomes; over time the first one counts",
    15: "opt-outs without a link are in no opt_out_rate: it is too low",
    16: "out-of-office answers may count as replies: reply rates are too high",
    17: "open and click rates are too high: machines open and click too",
    18: "replies and bounces go unseen: rates fall without a cause",
    19: "too early to have been answered: the latest weeks look worst",
    20: "no usable time zone: local send times fall back on a default",
    21: "instants without a zone were read as UTC and may be hours off",
    22: "calls without a time of their own are left out; created_at is the time of logging",
    23: "outcomes in another spelling: connect rates miss them",
    24: "step intervals fit neither seconds nor minutes: step spacing is unknown",
    25: "an enrollment's step is where it is now: funnels must come from mailings, calls and tasks",
    26: "owner now is not the sender then: credit by owner shifts afterward",
    27: "rows that came twice would count twice",
    28: "the week depends on the zone: cohorts shift at the edges",
    29: "opportunities dated by their arrival in Outreach: attribution windows shift",
    30: "amounts in several currencies cannot be added, and a missing amount is not 0",
}
"""What each trap does to the metrics, by number."""
