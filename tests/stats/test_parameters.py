"""Plausible slips in a parameter are either understood or refused in words, never met with a bare error of Python's."""

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from tests.frames import AS_OF, example
from tests.stats.statistics_of_mail import (
    ACCOUNTS,
    CALLS,
    DISPOSITIONS,
    MAIL,
    MAILBOXES,
    PROSPECTS,
    SEQUENCES,
    STATES,
    STEPS,
    TASKS,
    USERS,
)

MAILINGS = MAIL.assign(template_id=MAIL["sequence_step_id"], scheduled_at=MAIL["delivered_at"])
BOXES = MAILBOXES.assign(
    **dict.fromkeys(("send_disabled", "sync_disabled"), pd.Series([False] * 4, dtype="bool[pyarrow]")),
    **{f"{way}_{end}_at": pd.Timestamp(AS_OF) for way in ("send", "sync") for end in ("errored", "success")},
)
VARIANTS = pd.DataFrame(
    {"id": [1, 2], "sequence_step_id": [11, 11], "template_id": [11, 12], "enabled": True, "enabled_at": None}
).astype({"enabled_at": "timestamp[us, UTC][pyarrow]"})
DURATIONS = stats.time_to_event(MAIL, as_of=AS_OF)

CALLS_OF = {
    "ab_test": lambda **p: stats.ab_test(MAILINGS, sequence_templates=VARIANTS, **p),
    "account_coverage": lambda **p: stats.account_coverage(MAIL, accounts=ACCOUNTS, prospects=PROSPECTS, **p),
    "account_reach": lambda **p: stats.account_reach(MAIL, accounts=ACCOUNTS, prospects=PROSPECTS, **p),
    "call_outcomes": lambda **p: stats.call_outcomes(CALLS, **p),
    "cohort_matrix": lambda **p: stats.cohort_matrix(MAIL, sequence_states=STATES, **{"as_of": AS_OF, **p}),
    "compare_periods": lambda **p: stats.compare_periods(
        **{
            "statistic": stats.engagement,
            "frame": MAIL,
            "a": ("2025-01-01", "2025-03-01"),
            "b": ("2025-03-01", "2025-05-01"),
            "by": "sequence_id",
            **p,
        }
    ),
    "opt_out_violations": lambda **p: stats.opt_out_violations(
        MAIL, prospects=PROSPECTS, sequences=SEQUENCES.assign(transactional=False), **p
    ),
    "cumulative_incidence": lambda **p: stats.cumulative_incidence(DURATIONS, **p),
    "dashboard_comparison": lambda **p: stats.dashboard_comparison(MAIL, **p),
    "deliverability": lambda **p: stats.deliverability(MAIL, mailboxes=MAILBOXES, **p),
    "engagement": lambda **p: stats.engagement(MAIL, **p),
    "enrollment_outcomes": lambda **p: stats.enrollment_outcomes(MAIL, sequence_states=STATES, **{"as_of": AS_OF, **p}),
    "failures": lambda **p: stats.failures(MAIL, **p),
    "first_opens": lambda **p: stats.first_opens(MAIL, **p),
    "kaplan_meier": lambda **p: stats.kaplan_meier(DURATIONS, **p),
    "leaderboard": lambda **p: stats.leaderboard(MAIL, **p),
    "mailbox_health": lambda **p: stats.mailbox_health(MAIL, mailboxes=BOXES, **{"as_of": AS_OF, **p}),
    "mailing_flags": lambda **p: stats.mailing_flags(MAIL, **p),
    "meetings": lambda **p: stats.meetings(
        MAIL, sequence_states=STATES, calls=CALLS, **{"call_dispositions": DISPOSITIONS, "as_of": AS_OF, **p}
    ),
    "overlaps": lambda **p: stats.overlaps(MAIL, sequence_states=STATES, **p),
    "pipeline_attribution": lambda **p: stats.pipeline_attribution(
        MAIL,
        opportunities=example("opportunities"),
        opportunity_prospect_roles=example("opportunity_prospect_roles"),
        **p,
    ),
    "power_table": stats.power_table,
    "prospect_engagement": lambda **p: stats.prospect_engagement(MAIL, prospects=PROSPECTS, **p),
    "prospect_opt_outs": lambda **p: stats.prospect_opt_outs(MAIL, prospects=PROSPECTS, **p),
    "reconcile_counters": lambda **p: stats.reconcile_counters(MAIL, **{"sequences": example("sequences"), **p}),
    "rep_activity": lambda **p: stats.rep_activity(MAIL, users=USERS, **p),
    "reply_attribution": lambda **p: stats.reply_attribution(MAIL, **p),
    "reply_effort": lambda **p: stats.reply_effort(MAIL, **{"resamples": 10, **p}),
    "reply_sentiment": lambda **p: stats.reply_sentiment(SEQUENCES, **p),
    "reply_within": lambda **p: stats.reply_within(DURATIONS, **p),
    "schedule_lag": lambda **p: stats.schedule_lag(MAILINGS, **{"resamples": 10, **p}),
    "send_capacity": lambda **p: stats.send_capacity(MAIL, mailboxes=MAILBOXES, **p),
    "send_time_heatmap": lambda **p: stats.send_time_heatmap(MAIL, **{"prospects": PROSPECTS, **p}),
    "sequence_engagement": lambda **p: stats.sequence_engagement(MAIL, sequences=SEQUENCES, **p),
    "shrink_rates": lambda **p: stats.shrink_rates(**{"successes": [1, 2, 3], "trials": [10, 20, 30], **p}),
    "state_flow": lambda **p: stats.state_flow(MAIL, sequence_states=STATES, **p),
    "step_funnel": lambda **p: stats.step_funnel(MAIL, sequence_steps=STEPS, **p),
    "suspect_engagement": lambda **p: stats.suspect_engagement(MAIL, **p),
    "task_completion": lambda **p: stats.task_completion(TASKS, **{"as_of": AS_OF, **p}),
    "time_to_event": lambda **p: stats.time_to_event(MAIL, **{"as_of": AS_OF, **p}),
}
"""Each statistic on data that it takes; summaries and `data_quality` have no parameter of their own."""

SLIPS = [
    *[None, True, 7, -1, float("nan"), "7", "no such thing", b"reply", object(), pd.NaT],
    *[["sequence_id"], [["sequence_id"]], {"sequence_id"}, {"a": 1}, {10: "b"}, np.array([1, 2]), ("2025-01-01",)],
    *[pd.Index(["sequence_id"]), MAIL["sequence_id"]],
]


def outcome(call):
    """Return what a call met that is no answer and no refusal in words; nothing where all is well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call()
        except (DataError, MissingColumnError):
            return None
        except Exception as error:  # noqa: BLE001  whatever else it is, it is the finding
            return repr(error)
    return None


@pytest.mark.parametrize("name", CALLS_OF)
def test_a_slip_in_any_parameter_is_understood_or_refused_in_words(name):
    """A TypeError or KeyError from the depths tells nobody which parameter is wrong."""
    taken = inspect.signature(getattr(stats, name)).parameters.values()
    optional = [each.name for each in taken if each.default is not each.empty or name == "compare_periods"]
    slips = [(parameter, slip) for parameter in optional if parameter != "parameters" for slip in SLIPS]

    met = {
        (parameter, repr(slip)): outcome(lambda p=parameter, s=slip: CALLS_OF[name](**{p: s}))
        for parameter, slip in slips
    }

    assert {slip: error for slip, error in met.items() if error} == {}


@pytest.mark.parametrize("name", sorted(set(CALLS_OF) - {"power_table", "compare_periods"}))
@pytest.mark.parametrize("thing", [None, 7, {"id": [1]}], ids=repr)
def test_what_is_no_frame_is_refused_in_words(name, thing):
    taken = inspect.signature(getattr(stats, name)).parameters.values()
    needed = [each for each in taken if each.default is each.empty and each.kind is not each.VAR_KEYWORD]

    assert outcome(lambda: getattr(stats, name)(thing, **{each.name: thing for each in needed[1:]})) is None


def test_one_of_several_need_not_be_in_a_list():
    assert stats.reply_within(DURATIONS, days=7).equals(stats.reply_within(DURATIONS, days=[7]))
    assert (
        stats.power_table(0.05, differences=0.01)["n_per_arm"].tolist()
        == stats.power_table([0.05], differences=[0.01])["n_per_arm"].tolist()
    )
    alone = stats.first_opens(MAIL, open_events="message_opened")
    assert alone.equals(stats.first_opens(MAIL, open_events=["message_opened"]))


@pytest.mark.parametrize(
    "by", [["sequence_id"], ("sequence_id",), np.array(["sequence_id"]), pd.Index(["sequence_id"])]
)
def test_columns_may_come_in_any_ordered_collection(by):
    found = stats.engagement(MAIL, by=by)

    pd.testing.assert_frame_equal(found, stats.engagement(MAIL, by="sequence_id"), rtol=0, atol=0)
    assert found.attrs["outreach_frames"]["parameters"]["by"] == ["sequence_id"]


def test_a_set_of_columns_has_no_order():
    with pytest.raises(DataError, match="by must be the name of a column or a list of names"):
        stats.engagement(MAIL, by={"sequence_id", "user_id"})


@pytest.mark.parametrize("value", ["yes", 1, "no", None])
def test_true_and_false_are_written_as_such(value):
    """Anything else is true to Python, "no" included."""
    with pytest.raises(DataError, match="include_unsequenced must be True or False"):
        stats.engagement(MAIL, include_unsequenced=value)


def test_the_refusal_names_the_parameter_the_bounds_and_the_value():
    with pytest.raises(DataError, match=r"^ci must be a number above 0 and below 1, not 95\.$"):
        stats.engagement(MAIL, ci=95)
