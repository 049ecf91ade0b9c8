"""Pictures of what the statistics really return, on the worked example of the metric definitions."""

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames import plots, stats
from tests.oracle import ORACLE
from tests.plots.plot_checks import boxes, named, overlaps, points, whiskers, words

EXPECTED = ORACLE["expected"]
AS_OF = ORACLE["as_of"]


DOUBTFUL_DATA = pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
"""The statistics rightly warn of these data; here they are only drawn."""
TABLES = [
    *("users", "mailboxes", "accounts", "prospects", "sequences", "sequence_steps", "sequence_templates", "templates"),
    *("sequence_states", "mailings", "calls", "tasks", "opportunities", "opportunity_prospect_roles"),
]


@pytest.fixture(scope="module")
def frames():
    """Fetch the oracle's resources from a sandbox that serves exactly these."""
    with of.sandbox(resources=ORACLE["resources"], as_of=pd.Timestamp(AS_OF).to_pydatetime()) as org:
        return {name: of.fetch(org, name) for name in TABLES}


@pytest.fixture(scope="module")
def organization():
    """Fetch a small believable organization."""
    with of.sandbox(prospects=150, seed=7) as org:
        return {name: of.fetch(org, name, progress=False) for name in TABLES}


def test_rates_lie_where_the_oracle_says(frames) -> None:
    """Sequence 10: one enrollment of three replied, 0.061 to 0.792; sequence 20: none of two."""
    rates = stats.sequence_engagement(frames["mailings"], sequences=frames["sequences"], as_of=AS_OF)

    ax = plots.plot_rates(rates, min_n=1)

    expected = [EXPECTED["by_sequence"][key]["enrollment_reply_rate"] for key in ("10", "20")]
    assert points(ax) == [(pytest.approx(rate["rate"], abs=1e-6), row) for row, rate in enumerate(expected)]
    ends = {row: [low, high] for low, row, high, _ in whiskers(ax)}
    assert ends == {row: pytest.approx(rate["ci"], abs=1e-6) for row, rate in enumerate(expected)}
    assert "as of 31 Mar 2025, 00:00 UTC" in words(ax)


def test_steps_lie_where_the_oracle_says(frames) -> None:
    """Of sequence 10 three are at risk at the first step and none replies, at the second one of two."""
    funnel = stats.step_funnel(frames["mailings"], sequence_steps=frames["sequence_steps"], as_of=AS_OF)

    ax = plots.plot_step_funnel(funnel, names={10: "Cold", 20: "Warm"}, min_n=1)

    expected = sorted(EXPECTED["step_funnel"], key=lambda step: (step["sequence_id"], step["order"]))
    hazards = [y for _, y in points(ax)]
    assert hazards == pytest.approx([step["hazard"] for step in expected])
    bars = [bar.get_height() for panel in ax.child_axes[1::2] for bar in panel.patches]
    assert bars == [step["at_risk"] for step in expected]
    assert overlaps(ax) == []


def test_incidences_lie_where_the_oracle_says(frames) -> None:
    """Reply, opt-out and bounce are one of six each; all six are followed beyond two weeks."""
    durations = stats.time_to_event(frames["mailings"], as_of=AS_OF)

    ax = plots.plot_cumulative_incidence(stats.cumulative_incidence(durations), horizon_d=20)

    heights = [named(ax, f"line-{cause}")[0].get_ydata()[-1] for cause in ("reply", "opt_out", "bounce")]
    assert heights == pytest.approx([1 / 6, 2 / 6, 3 / 6])
    assert "still open 50 %" in words(ax)
    assert overlaps(ax) == []


def test_curves_end_where_nobody_is_followed_any_more(frames) -> None:
    """The last enrollment is censored after 27.3 days: what day 30 would show is not known."""
    durations = stats.time_to_event(frames["mailings"], as_of=AS_OF)

    ax = plots.plot_cumulative_incidence(stats.cumulative_incidence(durations), horizon_d=30)

    assert named(ax, "line-reply")[0].get_xdata()[-1] == pytest.approx(27.291667)
    assert overlaps(ax) == []


def test_cohorts_hold_what_the_oracle_says(frames) -> None:
    """Four enrollments, a quarter replied in the first week; of the second cohort the third week is immature."""
    ax = plots.plot_cohort_matrix(
        stats.cohort_matrix(frames["mailings"], sequence_states=frames["sequence_states"], weeks=3)
    )

    assert [text.get_text() for text in named(ax, "mature-text")] == ["25", "25", "25", "0", "0"]
    assert [text.get_text() for text in named(ax, "immature-text")] == ["(0)"]


def test_send_times_hold_what_the_oracle_says(frames) -> None:
    """Three on Monday at nine in the recipients' clocks; the others alone."""
    heatmap = stats.send_time_heatmap(frames["mailings"], prospects=frames["prospects"], min_n=2)

    ax = plots.plot_send_time_heatmap(heatmap)

    (cell,) = named(ax, "cell")
    assert (cell.get_x() + cell.get_width() / 2, cell.get_y() + cell.get_height() / 2) == pytest.approx((9, 0))
    assert len(named(ax, "few")) == len(EXPECTED["send_heatmap"]) - 1


def test_states_hold_what_the_oracle_says(frames) -> None:
    """Sequence 10: a quarter each replied, active, opted out and bounced; 20: half active, half finished."""
    ax = plots.plot_state_flow(stats.state_flow(frames["mailings"], sequence_states=frames["sequence_states"]))

    bars = {
        state: [bar.width for bar in boxes(ax, f"bar-{state}")] for state in ("finished_replied", "active", "bounced")
    }
    assert bars == {"finished_replied": [0.25], "active": [0.25, 0.5], "bounced": [0.25]}


def test_coverage_holds_what_the_oracle_says(frames) -> None:
    """Account 61: two of two contacted, both replied; 62: one of two."""
    ax = plots.plot_account_coverage(
        stats.account_coverage(frames["mailings"], accounts=frames["accounts"], prospects=frames["prospects"])
    )

    assert [bar.width for bar in boxes(ax, "contacted")] == [1, 0.5]
    assert [bar.width for bar in boxes(ax, "replied")] == [1, 0]


def test_counters_hold_what_the_oracle_says(frames) -> None:
    """All twelve counters equal one of the definitions; none is far off."""
    ax = plots.plot_reconcile_counters(stats.reconcile_counters(frames["mailings"], sequences=frames["sequences"]))

    assert "12 of 12 counters equal" in words(ax)


@DOUBTFUL_DATA
def test_credit_holds_what_the_oracle_says(frames) -> None:
    """Of 12,000 sequence 10 gets all, nothing, 8,000; nobody gets the other 5,000."""
    credited = stats.pipeline_attribution(
        frames["mailings"],
        opportunities=frames["opportunities"],
        opportunity_prospect_roles=frames["opportunity_prospect_roles"],
        models=("first", "last", "linear"),
    )

    ax = plots.plot_pipeline_attribution(credited, names={10: "Ten", 20: "Twenty"})

    lines = {tuple(line.get_ydata()) for line in named(ax, "channel")}
    assert (12_000, 0, 8_000) in lines
    assert (5_000, 5_000, 5_000) in lines


@DOUBTFUL_DATA
def test_every_other_picture_draws_a_real_result(organization) -> None:
    """What the statistics return from a whole organization has the columns and dtypes that the pictures read."""
    tables = organization
    mailings = tables["mailings"]
    quarters = {"a": ("2025-10-01", "2026-01-01"), "b": ("2026-01-01", "2026-04-01")}

    drawn = [
        plots.plot_ab_test(
            stats.ab_test(mailings, sequence_templates=tables["sequence_templates"], templates=tables["templates"])
        ),
        plots.plot_leaderboard(stats.leaderboard(mailings, users=tables["users"], by="user_id")),
        plots.plot_deliverability(stats.deliverability(mailings, mailboxes=tables["mailboxes"])),
        plots.plot_rep_activity(
            stats.rep_activity(mailings, users=tables["users"], calls=tables["calls"], tasks=tables["tasks"])
        ),
        plots.plot_compare_periods(
            stats.compare_periods(mailings, statistic=stats.engagement, by="sequence_id", **quarters)
        ),
    ]

    assert [overlaps(ax) for ax in drawn] == [[]] * len(drawn)
    assert all(len(ax.figure.outreach_alt) > 20 for ax in drawn)
