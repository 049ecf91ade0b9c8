"""Warnings of traps: counted, with a few ids, once per call, at the line of the caller."""

import warnings

import pytest

from outreach_frames import errors, stats
from outreach_frames.errors import OutreachDataWarning
from outreach_frames.stats._statistic import warn_of_rows
from outreach_frames.stats.quality_checks import EFFECTS
from tests.frames import AS_OF, example, extracted, mailings, make_frame

SENT = {"delivered_at": "2025-03-03T12:00:00Z", "sequence_step_id": 1, "sequence_state_id": 1, "template_id": 11}
FAST = {**SENT, "open_count": 1, "opened_at": "2025-03-03T12:00:01Z"}
VARIANTS = make_frame(
    [
        {"id": n, "sequence_step_id": 1, "template_id": n, "enabled": True, "enabled_at": "2025-03-01T00:00:00Z"}
        for n in (11, 12)
    ]
)
BLIND = make_frame(
    [{"id": 1, "sync_disabled": True}],
    *["send_disabled", "send_errored_at", "send_success_at", "sync_errored_at", "sync_success_at"],
    "max_mailings_per_day",
)
CHANGED = make_frame([{"id": 11, "name": "A", "updated_at": "2025-03-20T00:00:00Z"}])

MET = {
    errors.MachineOpenWarning: lambda: stats.suspect_engagement(mailings(FAST)),
    errors.BlindMailboxWarning: lambda: stats.mailbox_health(mailings(SENT), mailboxes=BLIND, as_of=AS_OF),
    errors.CounterGapWarning: lambda: stats.reconcile_counters(
        mailings(SENT), sequences=make_frame([{"id": 1, "reply_count": 3}])
    ),
    errors.SyncTimeWarning: lambda: stats.pipeline_attribution(
        example("mailings"),
        opportunities=example("opportunities").assign(currency_type="USD"),
        opportunity_prospect_roles=example("opportunity_prospect_roles"),
    ),
    errors.MixedCurrencyWarning: lambda: stats.pipeline_attribution(
        example("mailings"),
        opportunities=example("opportunities").assign(external_created_at=example("opportunities")["created_at"]),
        opportunity_prospect_roles=example("opportunity_prospect_roles"),
    ),
    errors.ChangedTemplateWarning: lambda: stats.ab_test(
        extracted(mailings(SENT), "mailings"), sequence_templates=VARIANTS, templates=CHANGED
    ),
}


@pytest.mark.parametrize("category", MET, ids=lambda category: category.__name__)
def test_a_trap_is_warned_of_once_at_the_callers_line(category):
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        MET[category]()

    assert [one.category for one in issued] == [category]
    assert issued[0].filename == __file__
    assert issubclass(category, OutreachDataWarning)


@pytest.mark.parametrize("call", ["ab_test", "leaderboard"])
def test_machine_opens_are_warned_of_at_the_callers_line_as_well(call):
    calls = {
        "ab_test": lambda: stats.ab_test(mailings(FAST), sequence_templates=VARIANTS, metric="open_rate"),
        "leaderboard": lambda: stats.leaderboard(
            mailings({**FAST, "user_id": 1}), metric="open_rate", allow_low_trust=True
        ),
    }

    with pytest.warns(errors.MachineOpenWarning) as issued:
        calls[call]()

    assert [one.filename for one in issued] == [__file__]


def test_many_ids_are_counted_and_not_all_listed():
    with pytest.warns(errors.MachineOpenWarning, match=r"too high: 1,200 \(id 1, 2, 3, 4, 5 …\)\.$"):
        warn_of_rows(errors.MachineOpenWarning, "too high", range(1200, 0, -1))


def test_nothing_met_is_nothing_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_rows(errors.MachineOpenWarning, "too high", [])


def test_every_trap_says_what_it_does():
    assert list(EFFECTS) == list(range(1, 31))
