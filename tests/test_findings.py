import pandas as pd

from outreach_frames import findings
from outreach_frames.stats.intervals import wilson


def rates_of(**groups):
    """Build a result of engagement from name=(successes, trials)."""
    successes, trials = zip(*groups.values(), strict=True)
    bounds = wilson(list(successes), list(trials))
    frame = pd.DataFrame({"name": list(groups), "reply_rate": bounds.iloc[:, 0], "reply_rate_n": list(trials)})
    frame[["reply_rate_lo", "reply_rate_hi"]] = bounds.iloc[:, -2:].to_numpy()
    return frame


def test_groups_whose_interval_leaves_out_the_whole_are_named():
    said = findings.rate_findings(rates_of(High=(60, 200), Usual=(20, 200), Low=(2, 200)), "reply_rate")

    assert said[0].startswith("“High” replies at 30.0 % (24.1 % to 36.7 %, n = 200), above all together (13.7 %)")
    assert said[1].startswith("“Low” replies at 1.0 %")
    assert len(said) == 2


def test_small_groups_are_counted_and_not_judged():
    said = findings.rate_findings(rates_of(Tiny=(5, 5), Usual=(20, 200)), "reply_rate")

    assert said == ["No group stands out from all together (10.0 %).", "1 of 2 have fewer than 30 and are not judged."]


def test_nothing_to_judge_by_is_said():
    assert findings.rate_findings(rates_of(Tiny=(5, 5)), "reply_rate") == ["No group has 30 or more to judge by."]
    assert findings.rate_findings(rates_of(Empty=(0, 0)), "reply_rate") == ["No group has 30 or more to judge by."]


def test_steps_are_told_for_the_largest_sequences_first():
    funnel = pd.DataFrame(
        {
            "sequence_id": [1, 1, 2, 3],
            "order": [1, 2, 1, 1],
            "at_risk": [100, 80, 300, 10],
            "first_replies": [5, 8, 0, 1],
            "hazard": [0.05, 0.1, 0.0, 0.1],
            "hazard_lo": [0.02, 0.05, 0.0, 0.0],
            "hazard_hi": [0.1, 0.2, 0.01, 0.4],
            "cumulative_reply": [0.05, 0.145, 0.0, 0.1],
        }
    )

    said = findings.step_findings(funnel, pd.Series({1: "A", 2: "B", 3: "C"}))

    assert said[0] == "“B” has earned no reply at any step."
    assert said[1].startswith("“A” earns most at step 2: 10.0 %")
    assert said[1].endswith("14.5 % have by the last.")
    assert len(said) == 2
    assert findings.step_findings(funnel, pd.Series({1: "A", 2: "B", 3: "C"}), limit=1) == said[:1]
