"""Pictures of what the statistics really return, on the worked example of the metric definitions."""

import json
from pathlib import Path

import pytest
from plot_checks import named, overlaps, points, whiskers, words

import outreach_frames as of
from outreach_frames import plots, stats

ORACLE = json.loads((Path(__file__).parents[1] / "data" / "metrics_oracle.json").read_text())
EXPECTED = ORACLE["expected"]
AS_OF = ORACLE["as_of"]


@pytest.fixture(scope="module")
def frames():
    """Flatten the oracle's resources."""
    return {name: of.read_jsonapi({"data": resources}) for name, resources in ORACLE["resources"].items()}


def test_rates_lie_where_the_oracle_says(frames) -> None:
    """Sequence 10: one enrolment of three replied, 0.061 to 0.792; sequence 20: none of two."""
    rates = stats.sequence_engagement(frames["mailings"], frames["sequences"], as_of=AS_OF)

    ax = plots.plot_rates(rates, min_n=1)

    expected = [EXPECTED["by_sequence"][key]["enrolment_reply_rate"] for key in ("10", "20")]
    assert points(ax) == [(pytest.approx(rate["rate"], abs=1e-6), row) for row, rate in enumerate(expected)]
    ends = {row: [low, high] for low, row, high, _ in whiskers(ax)}
    assert ends == {row: pytest.approx(rate["ci"], abs=1e-6) for row, rate in enumerate(expected)}
    assert "as of 31 Mar 2025, 00:00 UTC" in words(ax)


def test_steps_lie_where_the_oracle_says(frames) -> None:
    """Of sequence 10 three are at risk at the first step and none replies, at the second one of two."""
    funnel = stats.step_funnel(frames["mailings"], frames["sequenceSteps"], as_of=AS_OF)

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

    ax = plots.plot_incidence(stats.cumulative_incidence(durations), horizon_d=20)

    heights = [named(ax, f"line-{cause}")[0].get_ydata()[-1] for cause in ("reply", "opt_out", "bounce")]
    assert heights == pytest.approx([1 / 6, 2 / 6, 3 / 6])
    assert "still open 50\N{NARROW NO-BREAK SPACE}%" in words(ax)
    assert overlaps(ax) == []


def test_curves_end_where_nobody_is_followed_any_more(frames) -> None:
    """The last enrolment is censored after 27.3 days: what day 30 would show is not known."""
    durations = stats.time_to_event(frames["mailings"], as_of=AS_OF)

    ax = plots.plot_incidence(stats.cumulative_incidence(durations), horizon_d=30)

    assert named(ax, "line-reply")[0].get_xdata()[-1] == pytest.approx(27.291667)
    assert overlaps(ax) == []
