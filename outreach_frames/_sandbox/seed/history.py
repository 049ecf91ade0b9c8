"""Everything that happened, in order, as columns: the simulation from its first draw to its last."""

from dataclasses import dataclass

import numpy as np

from outreach_frames._sandbox.seed.clock import Flags, Floats
from outreach_frames._sandbox.seed.columns import Table, concatenated, taken
from outreach_frames._sandbox.seed.enrollments import enrollments
from outreach_frames._sandbox.seed.journeys import opted_out_at, respect_opt_outs, travel
from outreach_frames._sandbox.seed.opportunities import opportunities
from outreach_frames._sandbox.seed.people import Cast, cast
from outreach_frames._sandbox.seed.responses import OPEN, engagements, tallies, tracking
from outreach_frames._sandbox.seed.simulation import Simulation, happens
from outreach_frames._sandbox.seed.singles import mailing_types, one_off_mail
from outreach_frames._sandbox.seed.tasks import calls, tasks


@dataclass(frozen=True, slots=True)
class History:
    """
    The finished simulation.

    Attributes
    ----------
    mailings
        All messages, oldest first; ``deleted`` marks those whose rows are gone though counters know them.
    engaged
        Opens and clicks by position of their mailing.
    opted_out, touched
        Per prospect: first opt-out, and last message or call [UTC seconds, NaN without].
    """

    setting: Simulation
    cast: Cast
    enrollments: Table
    mailings: Table
    engaged: Table
    tasks: Table
    calls: Table
    opportunities: Table
    roles: Table
    opted_out: Floats
    touched: Floats


def simulate(setting: Simulation, prospects: int) -> History:
    """Run the simulation for a number of prospects."""
    people = cast(setting, prospects)
    journeys = respect_opt_outs(setting, people, travel(setting, people, enrollments(setting, people)))
    refused = opted_out_at(people, journeys.mailings)
    single = one_off_mail(setting, people, journeys.mailings)
    single = taken(
        single,
        ~(single["created"] > refused[single["prospect"]]) & ~(single["attempted"] > refused[single["prospect"]]),
    )
    mailings = concatenated([journeys.mailings, single])
    mailings = taken(mailings, np.argsort(mailings["created"], kind="stable"))
    mailings |= tracking(setting, mailings)
    engaged = engagements(setting, people, mailings)
    rng = setting.random("deletions")
    mailings |= tallies(mailings, engaged) | {
        "type": mailing_types(mailings, rng),
        "deleted": _deleted(setting, mailings, rng),
    }
    work = tasks(setting, people, journeys, mailings, engaged)
    talks = calls(setting, people, work)
    deals, roles = opportunities(setting, people, mailings)
    return History(
        setting=setting,
        cast=people,
        enrollments=journeys.enrollments,
        mailings=mailings,
        engaged=engaged,
        tasks=work,
        calls=talks,
        opportunities=deals,
        roles=roles,
        opted_out=opted_out_at(people, mailings),
        touched=_touched(people, mailings, talks),
    )


def _deleted(setting: Simulation, mailings: Table, rng: np.random.Generator) -> Flags:
    """Messages somebody deleted after they were delivered: never an answered one."""
    ordinary = ~np.isnan(mailings["delivered"]) & np.isnan(mailings["replied"]) & np.isnan(mailings["bounced"])
    ordinary &= (mailings["sequence"] >= 0) & np.isnan(mailings["opted_out"])
    deleted: Flags = ordinary & happens(setting.model.deleted, len(ordinary), rng)
    return deleted


def _touched(people: Cast, mailings: Table, talks: Table) -> Floats:
    last = np.full(len(people.prospects.first), -np.inf)
    sent = ~np.isnan(mailings["delivered"]) & (mailings["prospect"] >= 0)
    np.maximum.at(last, mailings["prospect"][sent], mailings["delivered"][sent])
    outbound = ~talks["inbound"]
    np.maximum.at(last, talks["prospect"][outbound], talks["dialed"][outbound])
    return np.where(np.isinf(last), np.nan, last)


def since_touched(history: History) -> dict[str, np.ndarray]:
    """Opens, clicks and replies of each prospect since the last touch point: events, not distinct messages."""
    mailings, engaged, count = history.mailings, history.engaged, len(history.cast.prospects.first)
    person = mailings["prospect"][engaged["mailing"]]
    fresh = (person >= 0) & (engaged["at"] >= history.touched[person])
    replied = (mailings["prospect"] >= 0) & (mailings["replied"] >= history.touched[mailings["prospect"]])
    opens = engaged["what"] == OPEN
    return {
        "openCount": np.bincount(person[fresh & opens], minlength=count),
        "clickCount": np.bincount(person[fresh & ~opens], minlength=count),
        "replyCount": np.bincount(mailings["prospect"][replied], minlength=count),
    }
