"""The worked example of the metric definitions, through real HTTP: sandbox, fetch, statistics."""

import pandas as pd
import pytest

import outreach_frames as of
from tests.oracle import ORACLE

EXPECTED = ORACLE["expected"]
AS_OF = pd.Timestamp(ORACLE["as_of"])
NEAR = {"abs": ORACLE["tolerance"]}

COUNTS = [
    *("mailings", "sent", "bounced", "delivered", "open_base", "click_base", "opened", "clicked", "replied"),
    *("opted_out", "opens_total", "clicks_total"),
]
RATES = [
    *("delivery_rate", "bounce_rate", "open_rate", "click_rate", "click_to_open_rate", "reply_rate", "opt_out_rate"),
    *("prospect_reply_rate", "enrollment_reply_rate"),
]


@pytest.fixture(scope="module")
def frames():
    """Fetch every table of the oracle from a sandbox that serves exactly its resources."""
    with of.sandbox(resources=ORACLE["resources"], as_of=AS_OF.to_pydatetime()) as org:
        names = {
            *("users", "mailboxes", "accounts", "prospects", "sequences", "sequence_steps", "templates"),
            *("sequence_states", "mailings"),
        }
        return {name: of.fetch(org, name) for name in names}


def assert_matches(row, expected):
    """Compare one row of `engagement` with the oracle: counts exactly, rates and bounds to its tolerance."""
    for name in COUNTS:
        assert row[name] == expected[name], name
    for name in RATES:
        rate = expected[name]
        found = [row[name], row[f"{name}_lo"], row[f"{name}_hi"]]
        assert row[f"{name}_n"] == rate["den"], name
        if rate["rate"] is None:
            assert all(value is pd.NA for value in found), name
        else:
            assert found == pytest.approx([rate["rate"], *rate["ci"]], **NEAR), name
    median = expected["hours_to_reply_median"]
    assert (
        row["hours_to_reply_median"] is pd.NA
        if median is None
        else row["hours_to_reply_median"] == pytest.approx(median)
    )


def test_fetched_tables_hold_what_the_oracle_lists(frames):
    """Flattening loses no row and no value."""
    for name, table in ORACLE["tables"].items():
        if name not in frames:
            continue
        assert frames[name]["id"].tolist() == sorted(row["id"] for row in table)
        fetched = frames[name].set_index("id")
        for row in table:
            for column, value in row.items():
                if column == "id":
                    continue
                found = fetched.loc[row["id"], column]
                if value is None:
                    assert found is pd.NA or pd.isna(found), (name, column)
                elif column.endswith("_at"):
                    assert found == pd.Timestamp(value), (name, column)
                else:
                    assert found == value, (name, column)


@pytest.mark.parametrize("policy", ["reply_wins", "bounce_wins"])
def test_overall_engagement(frames, policy):
    expected = EXPECTED["overall" if policy == "reply_wins" else "overall_bounce_wins"]

    rates = of.stats.engagement(frames["mailings"], include_unsequenced=True, bounce_policy=policy, cluster=None)

    assert_matches(rates.iloc[0], expected)


@pytest.mark.parametrize(
    ("by", "table"),
    [
        ("sequence_id", "by_sequence"),
        ("template_id", "by_template"),
        ("prospect_id", "by_prospect"),
        ("user_id", "by_user"),
        ("mailbox_id", "by_mailbox"),
    ],
)
def test_engagement_by_group(frames, by, table):
    rates = of.stats.engagement(frames["mailings"], by=by, include_unsequenced=True, cluster=None)

    found = {"none" if key is pd.NA or pd.isna(key) else str(key): row for key, row in rates.set_index(by).iterrows()}
    assert set(EXPECTED[table]) <= set(found)
    for key, expected in EXPECTED[table].items():
        assert_matches(found[key], expected)


def test_sequence_engagement(frames):
    found = of.stats.sequence_engagement(frames["mailings"], sequences=frames["sequences"], cluster=None)

    rows = found.set_index("sequence_id")
    assert rows["name"].to_dict() == {10: "Alpha", 20: "Beta"} | {
        key: value for key, value in rows["name"].items() if key not in {10, 20}
    }
    for key in ("10", "20"):
        assert_matches(rows.loc[int(key)], EXPECTED["by_sequence"][key])


def test_prospect_engagement(frames):
    rows = of.stats.prospect_engagement(frames["mailings"], prospects=frames["prospects"]).set_index("prospect_id")

    for key, expected in EXPECTED["by_prospect"].items():
        for name in ("delivered", "opened", "clicked", "replied"):
            assert rows.loc[int(key), name] == expected[name], (key, name)
    assert rows.loc[1, "tz"] == "America/New_York"


def test_step_funnel(frames):
    funnel = of.stats.step_funnel(frames["mailings"], sequence_steps=frames["sequence_steps"], cluster=None).set_index(
        "step_id"
    )

    assert len(funnel) == len(EXPECTED["step_funnel"])
    for expected in EXPECTED["step_funnel"]:
        row = funnel.loc[expected["step_id"]]
        for name in (
            "sequence_id",
            "order",
            "step_type",
            "sent",
            "delivered",
            "enrollments_reached",
            "at_risk",
            "first_replies",
        ):
            assert row[name] == expected[name], name
        for name in ("hazard", "cumulative_reply"):
            if expected[name] is None:
                assert row[name] is pd.NA, name
            else:
                assert row[name] == pytest.approx(expected[name], **NEAR), name


@pytest.mark.parametrize("policy", ["reply_wins", "bounce_wins"])
def test_time_to_event(frames, policy):
    expected = EXPECTED["time_to_event" if policy == "reply_wins" else "time_to_event_bounce_wins"]

    found = of.stats.time_to_event(frames["mailings"], bounce_policy=policy).set_index("sequence_state_id")

    assert len(found) == len(expected)
    for row in expected:
        assert found.loc[row["sequence_state_id"], "t0"] == pd.Timestamp(row["t0"])
        assert found.loc[row["sequence_state_id"], "event"] == row["event"]
        assert found.loc[row["sequence_state_id"], "duration_d"] == pytest.approx(row["duration_days"], **NEAR)


def test_kaplan_meier_of_reply(frames):
    durations = of.stats.time_to_event(frames["mailings"])

    curve = of.stats.kaplan_meier(durations, event="reply", cluster=None)

    steps = curve[curve["events"] > 0]
    (expected,), (band,) = EXPECTED["kaplan_meier_reply"], EXPECTED["kaplan_meier_reply_ci_loglog"]
    row = steps.iloc[0]
    assert len(steps) == 1
    assert (row["t_d"], row["at_risk"], row["events"]) == (expected["t"], expected["at_risk"], expected["events"])
    assert [row["survival"], row["lo"], row["hi"]] == pytest.approx(
        [expected["survival"], band["lo"], band["hi"]], **NEAR
    )


@pytest.mark.parametrize("cause", ["reply", "opt_out", "bounce"])
def test_cumulative_incidence(frames, cause):
    durations = of.stats.time_to_event(frames["mailings"])

    curve = of.stats.cumulative_incidence(durations, cluster=None)

    for expected in EXPECTED[f"cif_{cause}"]:
        row = curve.iloc[(curve["t_d"].astype(float) - expected["t"]).abs().argmin()]
        assert row["t_d"] == pytest.approx(expected["t"], **NEAR)
        assert (row["at_risk"], row["events_any"]) == (expected["at_risk"], expected["events_any"])
        assert row["event_free"] == pytest.approx(expected["event_free"], **NEAR)
        assert row[f"cif_{cause}"] == pytest.approx(expected["cif"], **NEAR)
