"""One-off mail: written by a user to one person, outside any sequence."""

import numpy as np

from outreach_frames._sandbox.seed.clock import DAY, HOUR, next_slot
from outreach_frames._sandbox.seed.columns import Table
from outreach_frames._sandbox.seed.journeys import NOT_SENT, SCHEDULED, SENT
from outreach_frames._sandbox.seed.people import TRAITS, Cast
from outreach_frames._sandbox.seed.responses import respond
from outreach_frames._sandbox.seed.simulation import Simulation, happens

SEQUENCE, SINGLE, CAMPAIGN = range(3)
_SHARE = 0.06
_TO_REPLIERS = 0.5
_STRANGERS = 0.02
_CAMPAIGN = 0.08


def one_off_mail(setting: Simulation, cast: Cast, mailings: Table) -> Table:
    """
    Add one-off messages, six for every hundred in sequences: half of them go to people who have answered.

    Returns
    -------
    mailings : Table
        The columns of the sequence mailings; ``enrollment, sequence, step, variant`` are -1, and ``prospect`` too where
        the address belongs to nobody known.
    """
    rng = setting.random("singles")
    size = max(4, round(len(mailings["sent"]) * _SHARE))
    answered = np.flatnonzero(~np.isnan(mailings["replied"]) & (mailings["prospect"] >= 0))
    everybody = rng.integers(0, len(cast.prospects.first), size)
    prospect, ready = everybody, np.fmax(cast.prospects.created[everybody], setting.start) + HOUR
    ready = ready + rng.random(size) * np.maximum(setting.as_of - ready - DAY, 0)
    if len(answered):
        source = answered[rng.integers(0, len(answered), size)]
        follows = happens(_TO_REPLIERS, size, rng)
        prospect = np.where(follows, mailings["prospect"][source], prospect)
        ready = np.where(follows, mailings["replied"][source] + rng.uniform(0.2, 8, size) * HOUR, ready)

    locked = len(cast.users.first) - 1
    user = np.where(cast.prospects.owner[prospect] == locked, 0, cast.prospects.owner[prospect])
    hours = np.asarray(setting.model.send_hours)
    weekends = happens(0.1, size, rng)
    sent = next_slot(ready, cast.users.zone[user], setting.zones, rng, hours=hours, weekends=weekends)
    unable = (user == TRAITS.disabled) & (sent > setting.before(TRAITS.disabled_days))
    status = np.where(sent > setting.as_of, SCHEDULED, np.where(unable, NOT_SENT, SENT))
    none = np.full(size, -1)
    mail = {
        "enrollment": none,
        "prospect": prospect,
        "sequence": none,
        "step": none,
        "variant": none,
        "template": none,
        "mailbox": user,
        "user": user,
        "created": np.floor(np.minimum(np.minimum(ready, sent), setting.as_of)),
        "scheduled": np.where(status == SCHEDULED, sent, np.nan),
        "status": status,
        "attempted": np.where(status == SCHEDULED, np.nan, sent),
        "error": np.where(status == NOT_SENT, 1, -1),
        "sent": np.where(status == SENT, sent, np.nan),
        "reply_rate": np.full(size, setting.model.single_reply),
        "opt_out_rate": np.full(size, 0.002),
        "positive_rate": np.full(size, 0.45),
    }
    mail = respond(setting, cast, mail, rng)
    stranger = happens(_STRANGERS, size, rng)
    stranger[0] = True
    mail["prospect"] = np.where(stranger, -1, prospect)
    return mail


def mailing_types(mailings: Table, rng: np.random.Generator) -> np.ndarray:
    """`SEQUENCE`, `SINGLE` or `CAMPAIGN` for each message."""
    campaign = happens(_CAMPAIGN, len(mailings["sent"]), rng)
    kinds: np.ndarray = np.where(mailings["sequence"] >= 0, SEQUENCE, np.where(campaign, CAMPAIGN, SINGLE))
    return kinds
