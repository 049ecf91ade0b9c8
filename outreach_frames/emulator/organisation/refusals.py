"""
An opt-out reaches every sequence the person is in.

The rounds of `journeys` look at one enrolment at a time; this part takes back what would have been sent to somebody who
had opted out elsewhere, through a link or by telling a person. A few enrolments go on regardless, as in every real
organisation: these are the messages a compliance check must find.
"""

import numpy as np

from outreach_frames.emulator.organisation.clock import Floats
from outreach_frames.emulator.organisation.columns import Table, taken
from outreach_frames.emulator.organisation.journeys import ACTIVE, OPTED_OUT, PAUSED, PENDING, Journeys
from outreach_frames.emulator.organisation.people import Cast
from outreach_frames.emulator.organisation.setting import Setting

_GOES_ON = 0.08


def opted_out_at(cast: Cast, mailings: Table) -> Floats:
    """When each prospect opted out first, by link or by hand; NaN for the others."""
    first: Floats = np.where(np.isnan(cast.prospects.manual_opt_out), np.inf, cast.prospects.manual_opt_out)
    by_link = ~np.isnan(mailings["opted_out"]) & (mailings["prospect"] >= 0)
    np.minimum.at(first, mailings["prospect"][by_link], mailings["opted_out"][by_link])
    return np.where(np.isinf(first), np.nan, first)


def respect_opt_outs(setting: Setting, cast: Cast, journeys: Journeys) -> Journeys:
    """
    Drop what followed an opt-out and end the enrolments it caught.

    Returns
    -------
    journeys : Journeys
        With enrolments begun after the opt-out removed, later messages and tasks removed, and ``overridden`` marking
        the enrolments that went on.
    """
    enrolled = journeys.enrolments
    refused = opted_out_at(cast, journeys.mailings)[enrolled["prospect"]]
    goes_on = setting.random("refusals").random(len(refused)) < _GOES_ON
    goes_on |= setting.programme.transactional[enrolled["sequence"]]
    limit = np.where(goes_on | np.isnan(refused), np.inf, refused)

    mailings, tasks = journeys.mailings, journeys.tasks
    happened = np.where(np.isnan(mailings["attempted"]), setting.as_of, mailings["attempted"])
    mailings = taken(mailings, happened <= limit[mailings["enrolment"]])
    tasks = taken(tasks, np.where(np.isnan(tasks["done"]), setting.as_of, tasks["done"]) <= limit[tasks["enrolment"]])

    caught = (limit < setting.as_of) & (np.isnan(enrolled["changed"]) | (enrolled["changed"] > limit) | _open(enrolled))
    enrolled = enrolled | {
        "state": np.where(caught, OPTED_OUT, enrolled["state"]),
        "changed": np.where(caught, limit, enrolled["changed"]),
        "overridden": goes_on & (enrolled["created"] > refused),
    }
    return _without(Journeys(enrolled, mailings, tasks), enrolled["created"] > limit)


def _open(enrolled: Table) -> np.ndarray:
    return np.isin(enrolled["state"], (ACTIVE, PENDING, PAUSED))


def _without(journeys: Journeys, gone: np.ndarray) -> Journeys:
    """Remove enrolments, renumber the rest and recompute the step each one has reached."""
    position = np.cumsum(~gone) - 1
    enrolled = taken(journeys.enrolments, ~gone)
    tables = []
    for table in (journeys.mailings, journeys.tasks):
        kept = taken(table, ~gone[table["enrolment"]])
        tables.append(kept | {"enrolment": position[kept["enrolment"]]})
    step = np.full(len(enrolled["prospect"]), -1)
    for table in tables:
        np.maximum.at(step, table["enrolment"], table["step"])
    return Journeys(enrolled | {"step": step}, *tables)
