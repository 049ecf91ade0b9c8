# ruff: noqa: ARG001  all checks take the same
"""Tasks of an analyst's week (docs/tasks): each runs as it stands, and its result is that of the long way round."""

import email
import email.policy
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.image
import openpyxl
import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames._format import plain

TASKS = {path.stem: path for path in sorted((Path(__file__).parents[1] / "docs" / "tasks").glob("*.py"))}
WRITING = {"tag_prospects", "enroll_safely", "compare_two_versions"}
LONGEST = 5
"""Lines of a task, without its title."""


@pytest.fixture(scope="module")
def shared():
    with of.sandbox(prospects=300, seed=7) as org:
        yield org


@pytest.fixture
def org(request, shared):
    """Return a connection; what is written to is there for one task alone."""
    if request.node.callspec.params["name"] not in WRITING:
        yield shared
        return
    with of.sandbox(prospects=220, seed=8) as own:
        yield own


@pytest.fixture(scope="module")
def snapshot():
    return of.open_snapshot(Path(__file__).parents[1] / "data" / "sample", dtypes="numpy")


def delivered(snapshot):
    """Return the mailings that arrived, by this project's rule for bounces, with the time of sending."""
    mailings = snapshot.frame("mailings")
    mailings = mailings[mailings["bounced_at"].isna() | mailings["replied_at"].notna()]
    return mailings[mailings["delivered_at"].notna() | mailings["replied_at"].notna()]


def counted_persons(result, org, snapshot):
    mailings = delivered(snapshot)
    mailings = mailings[
        mailings["sequence_id"].notna() & mailings["delivered_at"].between("2026-01-01", "2026-03-31 23:59")
    ]
    prospects = snapshot.frame("prospects")[["id", "persona_id"]].rename(columns={"id": "prospect_id"})
    counts = mailings.merge(prospects, on="prospect_id").groupby(["sequence_id", "persona_id"])["id"].count()
    found = result.set_index(["sequence_id", "persona_id"])["delivered"]
    return found[found > 0].to_dict() == counts.to_dict() and result["sequence__name"].notna().all()


def fullest_first(result, org, snapshot):
    mailings = snapshot.frame("mailings")
    sent = mailings["delivered_at"].fillna(mailings["bounced_at"]).fillna(mailings["replied_at"])
    local = sent.dt.tz_localize(None)
    boxes = snapshot.frame("mailboxes").set_index("id")
    used = []
    for per, start in (("day", local.dt.normalize()), ("week", local.dt.to_period("W").dt.start_time)):
        number = mailings["id"].groupby([mailings["mailbox_id"], start]).count()
        used += (
            number / boxes[f"max_mailings_per_{per}"].reindex(number.index.get_level_values(0)).to_numpy()
        ).tolist()
    owners = boxes["user_id"].map(snapshot.frame("users").set_index("id")["name"])
    right = result["user__name"].tolist() == owners.reindex(result["mailbox_id"]).tolist()
    return right and result["send_capacity_used"].tolist() == pytest.approx(sorted(used, reverse=True)[:10])


def on_two_steps(result, org, snapshot):
    steps = snapshot.frame("sequence_templates").groupby("sequence_step_id")["id"].count()
    return {*result["step_id"]} <= {*steps[steps > 1].index} and len(result) and (result["x"] <= result["n"]).all()


def in_the_file(result, org, snapshot):
    sheet = openpyxl.load_workbook("account.xlsx").active
    return sheet.max_row == len(result) + 1 and {*result["account_id"]} == {1}


def tagged(result, org, snapshot):
    prospects = of.fetch_prospects(org, fields=["tags"], refresh=True)
    ids = {int(each) for each in result["id"]}
    return len(ids) == 200 and ids == {*prospects["id"][["webinar" in tags for tags in prospects["tags"]]]}


def enrolled(result, org, snapshot):
    states = of.fetch_sequence_states(org, filter={"sequence": 1}, refresh=True)
    created = result[result["status"] == "created"]
    return 0 < len(created) <= 50 and {int(each) for each in created["id"]} <= {*states["id"]}


def in_two(result, org, snapshot):
    states = snapshot.frame("sequence_states")
    several = states[~states["state"].isin(["finished", "opted_out"])].groupby("prospect_id")["id"].count()
    return {*result["prospect_id"]} == {*several[several > 1].index} and len(result)


def a_picture(result, org, snapshot):
    return len(result.get_figure().axes) and result.get_figure().get_size_inches().min() > 1


def owned(result, org, snapshot):
    tasks = of.fetch_tasks(org, fields=["state", "owner"])
    return result.sum() == ((tasks["state"] == "incomplete") & tasks["owner_id"].notna()).sum() > 0


def of_two_months(result, org, snapshot):
    mailings = delivered(snapshot)
    month = mailings["delivered_at"].dt.strftime("%Y-%m")
    sequenced = mailings["sequence_id"].notna()
    sizes = [(sequenced & (month == each)).sum() for each in ("2026-01", "2026-02")]
    return [result["rate_a_n"].sum(), result["rate_b_n"].sum()] == sizes


def fewer_opens(result, org, snapshot):
    everything = of.stats.engagement(snapshot.frame("mailings"), by="sequence_id")
    return 0 < result["opened"].sum() < everything["opened"].sum()


def under_labels(result, org, snapshot):
    plain = of.fetch_prospects(org, custom=True)
    return len(result) == len(plain) == 300 and not any(name.startswith("custom") for name in result.columns)


def of_all_teams(result, org, snapshot):
    users = of.fetch(org, "users", fields=["teams"])
    mailings = of.fetch_mailings(org, fields=["user"])
    teams = {
        user: list(ids) if ids is not None else [] for user, ids in zip(users["id"], users["teams_ids"], strict=True)
    }
    counted = pd.Series([team for user in mailings["user_id"].dropna() for team in teams[user]]).value_counts()
    return result.set_index("team_id")["mailings"].to_dict() == counted.to_dict()


def of_all_industries(result, org, snapshot):
    accounts = snapshot.frame("accounts").set_index("id")["industry"]
    industry = snapshot.frame("prospects").set_index("id")["account_id"].map(accounts)
    mailings = snapshot.frame("mailings")["prospect_id"].map(industry)
    return result.set_index("industry")["mailings"].to_dict() == mailings.value_counts().to_dict()


def with_a_median(result, org, snapshot):
    """Fewer than half reply: the curve does not come down to a half, and no median is made up."""
    replied = snapshot.frame("mailings").groupby("sequence_state_id")["replied_at"].count() > 0
    return len(result) == 1 and replied.mean() < 0.5 and result["median_d"].isna().all()


def in_order(result, org, snapshot):
    return len(result) and {*result["prospect_id"]} == {1} and result["event_at"].is_monotonic_increasing


def joined(result, org, snapshot):
    return result.to_dict("records") == [{"amount": 500, "id": snapshot.frame("prospects")["id"].iloc[0]}]


def of_the_quota(result, org, snapshot):
    replied = snapshot.frame("mailings").groupby("user_id")["replied_at"].count()
    shares = result.set_index("user_id")["share"]
    return shares.round(9).to_dict() == {user: round(replied[user] / quota, 9) for user, quota in ((1, 10), (2, 20))}


def before_anything(result, org, snapshot):
    records = result.set_index("table")["records"]
    return records["prospects"] == 300 and (result["take_requests"] > 0).all() and not Path("nightly").exists()


def of_one_user(result, org, snapshot):
    (change,) = result.to_dict("records")
    return (change["table"], change["id"], change["change"]) == ("users", 1, "changed") and "title" in change["columns"]


def explained(result, org, snapshot):
    return result["meaning"].notna().all() and "latest" in result.loc["opened_at", "meaning"].lower()


def on_a_slide(result, org, snapshot):
    sizes = [label.get_fontsize() for label in result.get_yticklabels()]
    return mpl.image.imread("replies.png").shape[:2] == (1080, 1920) and min(sizes) > 8


def dark_in_german(result, org, snapshot):
    written = plain(" ".join(text.get_text() for text in result.texts))
    return max(result.get_figure().get_facecolor()[:3]) < 0.2 and re.search(r"\d\. (Jan|Feb|März|Apr)", written)


def in_berlin(result, org, snapshot):
    at = delivered(snapshot)["delivered_at"].dropna().dt.tz_convert("Europe/Berlin")
    hours = result.groupby("hour")["delivered"].sum()
    return hours[hours > 0].to_dict() == at.dt.hour.value_counts().to_dict()


def as_a_mail(result, org, snapshot):
    """The headline of the mail is counted by hand: enrollments that have had 14 days, and answered within them."""
    mail = email.message_from_bytes(result.read_bytes(), policy=email.policy.default)
    mailings = delivered(snapshot)
    at = mailings["delivered_at"].fillna(mailings["replied_at"])
    began = at.groupby(mailings["sequence_state_id"]).min()
    in_time = mailings["replied_at"].groupby(mailings["sequence_state_id"]).min() - began <= pd.Timedelta(days=14)
    rate = in_time[began <= snapshot.as_of - pd.Timedelta(days=14)].mean()
    text = mail.get_body(("plain",)).get_content().replace("\N{NO-BREAK SPACE}", " ")
    headline = next(line for line in text.splitlines() if line.startswith("Reply rate: "))
    pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    return headline.split(" | ")[1].startswith(f"{100 * rate:.1f} %") and "latest 7 days" in text and len(pictures) > 3


CHECKS = {
    "compare_two_versions": of_one_user,
    "custom_fields_by_label": under_labels,
    "enroll_safely": enrolled,
    "enrolled_twice": in_two,
    "events_of_a_prospect": in_order,
    "hours_in_my_time_zone": in_berlin,
    "join_a_csv_of_the_crm": joined,
    "many_sequences_in_one_plot": a_picture,
    "median_time_to_reply": with_a_median,
    "meetings_by_week": a_picture,
    "month_against_the_last": of_two_months,
    "open_tasks_by_owner": owned,
    "opens_without_machines": fewer_opens,
    "plot_on_a_slide": on_a_slide,
    "prospects_of_an_account_to_excel": in_the_file,
    "query_with_a_csv_of_your_own": of_the_quota,
    "reply_rate_by_industry": of_all_industries,
    "reply_rate_by_sequence_and_persona": counted_persons,
    "reply_rate_by_team": of_all_teams,
    "reps_over_sending_limits": fullest_first,
    "tag_prospects": tagged,
    "theme_and_language": dark_in_german,
    "weekly_report_by_mail": as_a_mail,
    "what_a_column_means": explained,
    "what_a_refresh_costs": before_anything,
    "winner_of_a_test": on_two_steps,
}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
def test_a_task_gives_what_the_long_way_gives(name, org, snapshot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    address = snapshot.frame("prospects")["emails"].iloc[0][0]
    pd.DataFrame({"email": [address], "amount": [500]}).to_csv("deals.csv", index=False)
    pd.DataFrame({"user_id": [1, 2], "quota": [10, 20]}).to_csv("quota.csv", index=False)
    names = {"of": of, "org": org, "snapshot": snapshot, "pd": pd}

    with of.plots.theme():  # what a task sets for the session ends here
        exec(compile(TASKS[name].read_text(encoding="utf-8"), name, "exec"), names)  # noqa: S102  the task as it stands

    assert CHECKS[name](names["result"], org, snapshot)


def test_every_task_is_short_and_on_the_page():
    page = (Path(__file__).parents[1] / "docs" / "tasks.md").read_text(encoding="utf-8")
    for name, path in TASKS.items():
        assert len(path.read_text(encoding="utf-8").splitlines()) - 2 <= LONGEST, name
        assert f"tasks/{name}.py" in page
    assert CHECKS.keys() == TASKS.keys()
