"""The statistics on small tables over real HTTP: the worked example and an invented organization."""

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames import stats
from outreach_frames.catalog import snake
from tests.frames import EXPECTED, ORACLE

pytestmark = pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")

TABLES = [
    *["calls", "email_addresses", "events", "mailboxes", "mailings", "opportunities", "opportunity_prospect_roles"],
    *[
        "opportunity_stages",
        "prospects",
        "sequence_states",
        "sequence_steps",
        "sequence_templates",
        "sequences",
        "templates",
        "users",
    ],
]


@pytest.fixture(scope="module")
def example():
    """Fetch every table from a sandbox that serves exactly the worked example's resources."""
    as_of = pd.Timestamp(ORACLE["as_of"]).to_pydatetime()
    with of.sandbox(resources=ORACLE["resources"], as_of=as_of) as org:
        return {name: of.fetch(org, name, progress=False) for name in TABLES}


@pytest.fixture(scope="module")
def invented(tmp_path_factory):
    """Return a snapshot of an invented organization."""
    with of.sandbox(prospects=400, seed=11) as org:
        return of.take_snapshot(org, tmp_path_factory.mktemp("snapshot") / "org", resources=TABLES)


def test_the_worked_examples_reply_is_credited(example):
    credited = stats.reply_attribution(example["mailings"])

    assert credited.drop(columns="agree").to_dict("records") == EXPECTED["reply_attribution"]


@pytest.mark.parametrize("case", EXPECTED["pipeline_30d"])
def test_the_worked_examples_deals_are_credited(example, case):
    credited = stats.pipeline_attribution(
        example["mailings"],
        opportunities=example["opportunities"],
        opportunity_prospect_roles=example["opportunity_prospect_roles"],
    )
    rows = credited[(credited["opportunity_id"] == case["opportunity_id"]) & (credited["model"] == "linear")]

    expected = case["linear"] or {"unattributed": case["unattributed"]}
    assert sorted(rows["amount"].tolist()) == pytest.approx(sorted(expected.values()))


def test_the_worked_examples_counters_are_explained(example):
    compared = stats.reconcile_counters(example["mailings"], sequences=example["sequences"]).set_index(
        ["sequence_id", "counter"]
    )

    for case in EXPECTED["reconciliation"]:
        row = compared.loc[(case["sequence_id"], snake(case["counter"]))]
        assert (row["api"], list(row["matches"]), row["gap"]) == (case["api"], case["matches"], case["gap_vs_first"])


@pytest.mark.parametrize("name", EXPECTED["anomalies"])
def test_the_worked_examples_anomalies_are_found(example, name):
    checks = stats.data_quality(example).set_index("check")

    assert list(checks.loc[name, "example_ids"]) == EXPECTED["anomalies"][name]


def test_of_an_organization_everything_can_be_checked(invented):
    """What fetch() asks for by default is all that the checks need."""
    checks = stats.data_quality(invented)

    assert checks["needs"].isna().all()
    assert (checks["count"] <= checks["rows"]).all()


def test_a_snapshot_is_summarized_as_of_its_extraction(invented):
    summary = stats.summarize(invented)

    assert pd.Timestamp(summary.as_of) == invented.as_of
    assert summary.to_frame()["value"].notna().all()


def test_machine_opens_are_told_from_the_event_log(invented):
    """The organization's own log says who opened; without it, little is missed."""
    mailings, events = invented.frame("mailings"), invented.frame("events")

    logged = stats.suspect_engagement(mailings, events=events)
    alone = stats.suspect_engagement(mailings)

    opens = events[(events["name"] == "message_opened") & events["mailing_id"].isin(mailings["id"])]
    by_machines_only = opens.groupby("mailing_id")["request_proxied"].all()
    proxied = by_machines_only[by_machines_only].index
    assert logged["mailing_id"][logged["suspect_open"]].isin(proxied).mean() > 0.8
    assert (logged["suspect_open"] == alone["suspect_open"]).mean() > 0.95


def test_counts_of_groups_are_those_of_the_whole(invented):
    mailings = invented.frame("mailings")
    whole = stats.engagement(mailings).iloc[0]

    ranked = stats.leaderboard(mailings, users=invented.frame("users"), mature_d=0)
    models = stats.attached(
        stats.pipeline_attribution(
            mailings,
            opportunities=invented.frame("opportunities"),
            opportunity_prospect_roles=invented.frame("opportunity_prospect_roles"),
        ),
        "summary",
    )

    assert (ranked["x"].sum(), ranked["n"].sum()) == (whole["replied"], whole["delivered"])
    totals = models.pivot_table("amount", index="currency", columns="model", aggfunc="sum")
    assert totals.sub(totals["first"], axis=0).abs().max().max() < 1e-6


def test_every_step_with_two_enabled_templates_is_a_test(invented):
    tested = stats.ab_test(
        invented.frame("mailings"),
        sequence_templates=invented.frame("sequence_templates"),
        templates=invented.frame("templates"),
    )
    variants = invented.frame("sequence_templates")

    enabled = variants[variants["enabled"]].groupby("sequence_step_id").size()
    assert tested.groupby("step_id").size().to_dict() == enabled[enabled > 1].to_dict()
    assert (tested["x"] <= tested["n"]).all()
    assert (tested["n"] <= tested["arrivals"]).all()


def test_mailboxes_people_and_opt_outs_are_looked_at(invented):
    mailings = invented.frame("mailings")

    health = stats.mailbox_health(mailings, mailboxes=invented.frame("mailboxes"))
    people = stats.overlaps(mailings, sequence_states=invented.frame("sequence_states"))
    late = stats.opt_out_violations(
        mailings, prospects=invented.frame("prospects"), sequences=invented.frame("sequences")
    )

    assert len(health) == len(invented.frame("mailboxes"))
    assert people["touches"].sum() <= stats.engagement(mailings)["delivered"].item()
    assert (late["hours_after_opt_out"] > 0).all()
