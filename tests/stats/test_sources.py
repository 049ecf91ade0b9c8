"""A snapshot or a connection in place of frames gives what the long way round gives; periods keep the right rows."""

import inspect
from pathlib import Path

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pytest

import outreach_frames as of
from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._tables import COLUMNS, table_reader_of
from outreach_frames.stats._teams import Teams
from tests.frames import extracted, mailings, make_frame

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
OPTIONS = {
    "compare_periods": {"statistic": stats.engagement, "a": "2026-01", "b": "2026-02", "by": "sequence_id"},
    "leaderboard": {"by": "user_id"},
}
NO_TABLE = {
    "attached",
    "explain",
    "power_table",
    "shrink_rates",
    "cumulative_incidence",
    "kaplan_meier",
    "reply_within",
}
OWN_SOURCE = {"data_quality", "summarize"}
STATISTICS = sorted(set(stats.__all__) - NO_TABLE - OWN_SOURCE)
TIMED = [name for name in STATISTICS if "period" in inspect.signature(getattr(stats, name)).parameters]
LEFT_OUT = {"leaderboard": {"mailboxes", "sequences", "templates"}, "reconcile_counters": {"*"}}
"""Tables of which a statistic takes one only."""


@pytest.fixture(scope="module")
def snapshot():
    return of.open_snapshot(SAMPLE)


@pytest.fixture(scope="module")
def frames(snapshot):
    return {name: snapshot.frame(name) for name in snapshot.tables}


def long_way(name, frames, **options):
    """Call a statistic with all its frames, whole."""
    statistic = getattr(stats, name)
    first, *others = inspect.signature(statistic).parameters
    fact = {"frame": "mailings", "objects": "sequences"}.get(first, first)
    left_out = LEFT_OUT.get(name, set()) | {"email_addresses"}
    tables = {each: frames[each] for each in others if each in frames and each not in left_out and "*" not in left_out}
    if name == "reconcile_counters":
        tables = {"sequences": frames["sequences"]}
    return statistic(frames[fact], **tables, **OPTIONS.get(name, {}), **options)


def without_names(result, like):
    added = [column for column in result.columns if column.endswith("__name") and column not in like.columns]
    return result.drop(columns=added)


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
@pytest.mark.parametrize("name", STATISTICS)
def test_a_snapshot_gives_what_its_frames_give(name, snapshot, frames):
    expected = long_way(name, frames)

    found = getattr(stats, name)(snapshot, **OPTIONS.get(name, {}))

    pd.testing.assert_frame_equal(without_names(found, expected), expected)


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
@pytest.mark.parametrize("name", TIMED)
def test_a_period_is_the_same_of_a_snapshot_and_of_frames(name, snapshot, frames):
    quarter = {"period": "2026-Q1", "tz": "Europe/Berlin"}

    expected = long_way(name, frames, **quarter)
    found = getattr(stats, name)(snapshot, **OPTIONS.get(name, {}), **quarter)

    pd.testing.assert_frame_equal(without_names(found, expected), expected)


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
@pytest.mark.parametrize("name", TIMED)
def test_a_period_of_all_time_leaves_nothing_out_that_happened(name, snapshot):
    """Only unsent mail has no place in any period."""
    whole = getattr(stats, name)(snapshot, since="2000-01-01", until="2100-01-01", **OPTIONS.get(name, {}))
    parts = whole.attrs["outreach_frames"]["dropped"]

    assert parts.get("row of mailings outside the period", 0) < 200


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
@pytest.mark.parametrize("name", STATISTICS)
def test_every_column_that_a_statistic_reads_is_among_those_that_are_read_from_a_source(name, frames, monkeypatch):
    wanted = {}
    plain = StatContext.read

    def noting(self, table, native, columns, *, keys=(), optional=(), **options):
        columns, optional = list(columns), list(optional)
        wanted.setdefault(table, set()).update(columns, optional)
        return plain(self, table, native, columns, keys=keys, optional=optional, **options)

    monkeypatch.setattr(StatContext, "read", noting)
    long_way(name, frames)

    for table, columns in wanted.items():
        assert columns & {*frames[table].columns} <= COLUMNS[table], table


def joined_mail(frames):
    people = frames["prospects"][["id", "persona_id", "account_id"]]
    firms = frames["accounts"][["id", "industry"]].rename(columns={"id": "account_id"})
    people = people.merge(firms, how="left").rename(columns={"id": "prospect_id"})
    mail = frames["mailings"].merge(people, on="prospect_id", how="left", validate="m:1")
    mail.attrs = frames["mailings"].attrs
    return mail


@pytest.mark.parametrize(
    ("word", "column"), [("persona", "persona_id"), ("industry", "industry"), ("account", "account_id")]
)
def test_words_of_other_tables_are_joined(word, column, snapshot, frames):
    """Mailings of the API tell neither."""
    others = {"persona_id", "industry", "account_id"} - {column}
    expected = stats.engagement(joined_mail(frames).drop(columns=[*others]), by=column)

    found = stats.engagement(snapshot, by=word)

    pd.testing.assert_frame_equal(without_names(found, expected), expected)


@pytest.mark.parametrize(
    ("word", "column"),
    [("sequence", "sequence_id"), ("step", "sequence_step_id"), ("template", "template_id"), ("rep", "user_id")],
)
def test_words_are_columns_and_ids_have_their_names(word, column, snapshot, frames):
    expected = stats.engagement(frames["mailings"], by=column)
    found = stats.engagement(snapshot, by=word)

    pd.testing.assert_frame_equal(without_names(found, expected), expected)
    assert list(found.columns[:2]) == [column, f"{column.removesuffix('_id')}__name"]
    assert found.iloc[:, 1].notna().all()


def test_a_step_is_named_by_its_sequence_and_place(snapshot, frames):
    found = stats.engagement(snapshot, by="step").set_index("sequence_step_id")["sequence_step__name"]
    step = frames["sequence_steps"].set_index("id").loc[3]
    sequence = frames["sequences"].set_index("id").loc[step["sequence_id"], "name"]

    assert (stats.engagement(frames["mailings"], by="step")["sequence_step_id"] == found.index).all()
    assert found.iloc[0] == f"{sequence}, step 1"


def test_words_work_with_frames_too(frames):
    pd.testing.assert_frame_equal(
        stats.engagement(frames["mailings"], by=["sequence", "month"]),
        stats.engagement(frames["mailings"], by=["sequence_id", "month"]),
    )


def test_frames_by_name_are_a_source(frames):
    found = stats.sequence_engagement(frames)

    pd.testing.assert_frame_equal(found, long_way("sequence_engagement", frames))


def test_a_frame_that_is_given_is_not_read_from_the_source(snapshot, frames):
    few = frames["sequences"].head(2)

    assert len(stats.sequence_engagement(snapshot, sequences=few)) == 2


def test_a_connection_gives_what_its_frames_give():
    with of.sandbox(prospects=60, seed=3, cache=False) as org:
        frames = {name: of.fetch(org, name) for name in ("mailings", "sequences", "sequence_states", "calls", "tasks")}
        expected = stats.sequence_engagement(frames["mailings"], **{k: v for k, v in frames.items() if k != "mailings"})
        found = stats.sequence_engagement(org)
        by_team = stats.engagement(org, by="team")
        teams, users = of.fetch(org, "teams"), of.fetch(org, "users", fields=["teams"])
        busy = of.fetch(org, "mailings", fields=["user_id"])["user_id"]
        requests = [each.path for each in org.sandbox.requests if each.path.endswith("/mailings")]

    pd.testing.assert_frame_equal(found, expected)
    assert requests
    assert by_team["team__name"].tolist() == teams.set_index("id")["name"].loc[by_team["team_id"]].tolist()
    member_of = users.set_index("id")["teams_ids"]
    expected_rows = sum(len(member_of[user]) for user in busy.dropna())
    assert by_team["mailings"].sum() == expected_rows


def test_who_is_in_two_teams_counts_in_each_and_the_record_says_so():
    mail = extracted(
        mailings(*({"user_id": user, "delivered_at": "2026-01-15T12:00:00Z"} for user in (1, 1, 2))), "mailings"
    )
    users = make_frame([{"id": 1, "name": "Ann"}, {"id": 2, "name": "Ben"}])
    users["teams_ids"] = pd.Series([[10, 20], [20]])
    teams = make_frame([{"id": 10, "name": "North"}, {"id": 20, "name": "South"}])

    found = stats.engagement({"mailings": mail, "users": users, "teams": teams}, by="team")

    assert found["team__name"].tolist() == ["North", "South"]
    assert found["delivered"].tolist() == [2, 3]
    assert list(found.attrs["outreach_frames"]["assumed"].values()) == [2]
    assert "in several teams" in next(iter(found.attrs["outreach_frames"]["assumed"]))


BY_TEAM = {
    "account_reach": {},
    "call_outcomes": {},
    "engagement": {},
    "enrollment_outcomes": {},
    "failures": {},
    "meetings": {},
    "prospect_opt_outs": {},
    "reply_effort": {"resamples": 50},
    "schedule_lag": {"resamples": 50},
    "task_completion": {},
    "time_to_event": {},
}
"""Statistics that can be grouped by any column, and what makes them quick."""


@pytest.mark.parametrize("name", BY_TEAM)
def test_the_row_of_a_team_is_that_of_its_users_among_all_records(frames, name):
    """Everybody is in team 1, half of the people in team 2, too, and one user in none."""
    users = frames["users"].sort_values("id", ignore_index=True)
    both = [[1, 2] if number % 2 else [1] for number in range(len(users) - 1)]
    statistic, options = getattr(stats, name), BY_TEAM[name]

    found = statistic({**frames, "users": users.assign(teams_ids=pd.Series([[], *both]))}, by=["team"], **options)

    for team in (1, 2):
        one_each = pd.Series([[], *([team] if team in teams else [3] for teams in both)])
        expected = statistic({**frames, "users": users.assign(teams_ids=one_each)}, by=["team"], **options)
        rows = [each[each["team_id"] == team].reset_index(drop=True) for each in (found, expected)]
        counts = [each.drop(columns=[c for c in each if c.endswith(("_lo", "_hi"))]) for each in rows]
        assert len(rows[1]) > 0
        pd.testing.assert_frame_equal(*counts)
    assert any("in several teams" in each for each in found.attrs["outreach_frames"]["assumed"])


def test_what_compares_all_groups_takes_a_record_once(frames):
    users = frames["users"].assign(teams_ids=pd.Series([[1, 2]] * len(frames["users"])))

    with pytest.raises(DataError, match="several teams"):
        stats.compare_periods(
            {**frames, "users": users}, statistic=stats.engagement, a="2025-12", b="2026-01", by="team", mature_d=0
        )


def test_few_assignments_hold_all_teams():
    users = make_frame([{"id": number} for number in range(1, 7)])
    users["teams_ids"] = pd.Series([[1, 2], [2, 3], [3], [4], [], [1, 4]])

    assigned = Teams(table_reader_of({"users": users})).assignments()

    assert [each.tolist()[:4] for each in assigned] == [[1, 3, 3, -1], [2, 2, -1, 4]]
    assert [pd.isna(each.iloc[4]) for each in assigned] == [True, True]
    assert [each.iloc[5] for each in assigned] == [1, 4]


def test_the_team_is_that_of_the_user_and_not_a_column_of_the_record(frames):
    """Tasks have a team of their own, which is mostly missing."""
    users = frames["users"].assign(teams_ids=pd.Series([[1]] * len(frames["users"])))
    tasks = frames["tasks"].assign(team_id=pd.array([None] * len(frames["tasks"]), dtype="int64[pyarrow]"))

    (team,) = stats.task_completion({"tasks": tasks, "users": users}, by="team").to_dict("records")

    assert team["team_id"] == 1


def test_a_column_that_is_called_like_a_word_is_that_column(frames):
    mailings = frames["mailings"].assign(team="mine")

    assert stats.engagement(mailings, by="team")["team"].tolist() == ["mine"]


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_period_beside_frames_by_position_is_refused(frames):
    """It would be dropped."""
    with pytest.raises(DataError, match="keyword"):
        stats.sequence_engagement(frames["mailings"], frames["sequences"], period="2026-01")
    with pytest.raises(DataError, match="keyword"):
        stats.sequence_engagement(
            frames["mailings"], frames["sequences"], since="2026-01-01", period=None, tz="Asia/Tokyo"
        )


def test_a_period_that_cuts_weeks_leaves_them_unfinished(snapshot):
    trend = stats.trend(snapshot, by="week", since="2025-12-03", until="2025-12-24", tz="UTC")

    weeks = trend.set_index(trend["week"].astype(str))["mature"]
    assert weeks.to_dict() == {"2025-12-01": False, "2025-12-08": True, "2025-12-15": True, "2025-12-22": False}


def test_a_source_that_does_not_tell_teams_says_what_to_fetch(snapshot):
    with pytest.raises(MissingColumnError, match='"teams"'):
        stats.engagement(snapshot, by="team")


def test_a_source_without_the_table_is_refused():
    with pytest.raises(DataError, match="no table 'mailings'"):
        stats.engagement({})


def test_a_period_is_placed_in_its_zone_and_noted():
    """At 23:30 UTC on 31 January it is February in Berlin; a bounce is placed by its own time."""
    mail = mailings(
        {"delivered_at": "2026-01-31T23:30:00Z"},
        {"bounced_at": "2026-02-10T12:00:00Z"},
        {"delivered_at": "2026-03-01T00:00:00Z"},
    )

    in_utc = stats.engagement(mail, period="2026-02")
    in_berlin = stats.engagement(mail, period="2026-02", tz="Europe/Berlin")

    assert (in_utc["sent"].item(), in_berlin["sent"].item()) == (1, 2)
    record = in_berlin.attrs["outreach_frames"]
    assert record["dropped"]["row of mailings outside the period"] == 1
    assert record["parameters"]["since"] == "2026-01-31T23:00:00Z"


def test_words_for_a_period_are_relative_to_the_extraction():
    mail = extracted(
        mailings({"delivered_at": "2025-12-31T12:00:00Z"}, {"delivered_at": "2026-01-15T12:00:00Z"}),
        "mailings",
        as_of="2026-02-01T00:00:00Z",
    )

    assert stats.engagement(mail, period="this_month")["sent"].item() == 1
    assert stats.engagement(mail, period="last_year")["sent"].item() == 1
    assert stats.engagement(mail, period="90d")["sent"].item() == 2


def test_failed_mail_is_in_the_period_in_which_it_was_created():
    """It was never sent, and has no other time."""
    mail = mailings(
        {"state": "failed", "error_reason": "Limit", "created_at": "2026-01-10T00:00:00Z"},
        {"state": "failed", "error_reason": "Limit", "created_at": "2026-02-10T00:00:00Z"},
    )

    assert stats.failures(mail, period="2026-01")["failed"].sum() == 1


def test_activity_of_a_period_has_only_its_weeks(snapshot):
    weeks = stats.rep_activity(snapshot, period="2026-Q1")["week"]

    assert str(weeks.min()) == "2025-12-29"
    assert str(weeks.max()) == "2026-03-30"


def test_hours_are_those_of_the_zone_asked_for(snapshot):
    """Where a statistic has a zone for what has none of its own, ``tz`` is that zone too."""
    hours = stats.send_time_heatmap(snapshot, clock="org", tz="Asia/Tokyo")

    pd.testing.assert_frame_equal(hours, stats.send_time_heatmap(snapshot, clock="org", default_tz="Asia/Tokyo"))
    assert not hours.equals(stats.send_time_heatmap(snapshot, clock="org"))


def test_signatures_show_what_all_statistics_take():
    parameters = inspect.signature(stats.engagement).parameters

    assert {"since", "until", "period", "tz", "by"} <= set(parameters)
    assert "period: " in stats.engagement.__doc__ or "``period``" in stats.engagement.__doc__


def test_findings_and_pictures_say_the_names_that_a_result_has(snapshot):
    rates = stats.engagement(snapshot, by="sequence")

    assert "“Inbound demo request – fast lane”" in of.findings.tell(rates, limit=1)[0]
    drawn = of.plots.plot_rates(stats.engagement(snapshot, by=["rep", "quarter"]))
    rep = snapshot.frame("users")["name"].iloc[0]
    assert any(rep in text.get_text() for text in drawn.figure.findobj(lambda each: hasattr(each, "get_text")))


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.NaiveTimestampWarning")
@pytest.mark.parametrize("engine", ["duckdb", "polars", "numpy", "naive", "pyarrow"])
def test_a_period_keeps_the_same_rows_in_every_kind_of_frame(engine, snapshot, frames):
    mail, quarter = frames["mailings"], {"period": "2026-Q1", "tz": "America/New_York"}
    instants = ["delivered_at", "bounced_at", "replied_at"]
    made = {
        "duckdb": lambda: snapshot.scan("mailings"),
        "polars": lambda: snapshot.scan("mailings", "polars"),
        "numpy": lambda: mail.assign(**{name: mail[name].astype("datetime64[us, UTC]") for name in instants}),
        "naive": lambda: mail.assign(**{name: mail[name].dt.tz_localize(None) for name in instants}),
        "pyarrow": lambda: pa.Table.from_pandas(mail),
    }[engine]()

    found = nw.from_native(stats.engagement(made, **quarter)).lazy().collect()

    assert found["sent"].to_list() == stats.engagement(mail, **quarter)["sent"].tolist()


def test_a_period_of_text_is_refused():
    mail = mailings({"delivered_at": "2026-01-31T23:30:00Z"})

    with pytest.raises(DataError, match="not instants"):
        stats.engagement(mail.assign(replied_at="yesterday"), period="2026")
