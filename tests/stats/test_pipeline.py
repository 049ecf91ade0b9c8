import json

import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from outreach_frames.errors import DataError, MissingColumnError, MixedCurrencyWarning, SyncTimeWarning
from outreach_frames.stats.pipeline import MODELS, pipeline_attribution
from outreach_frames.stats.provenance import attached
from tests.frames import EXPECTED, example, mailings, make_frame, plain

pytestmark = pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")

DEAL = {"amount": 1000, "currency_type": "USD", "external_created_at": "2025-03-31T00:00:00Z"}
COLUMNS = ["id", "amount", "amount_precise", "currency_type", "created_at", "external_created_at", "trashed_at"]


def deals(*changes):
    return make_frame([{"id": number, **DEAL, **change} for number, change in enumerate(changes, start=1)], *COLUMNS)


def roles(*pairs):
    rows = [{"opportunity_id": deal, "prospect_id": prospect} for deal, prospect in pairs]
    return make_frame(rows, "opportunity_id", "prospect_id")


def touch(day, sequence=1, prospect=1, **other):
    return {"prospect_id": prospect, "sequence_id": sequence, "delivered_at": f"2025-03-{day:02}T00:00:00Z"} | other


def credits_of(*touches, **parameters):
    return pipeline_attribution(
        mailings(*touches), opportunities=deals({}), opportunity_prospect_roles=roles((1, 1)), **parameters
    )


def amounts(credited, deal, model):
    rows = credited[(credited["opportunity_id"] == deal) & (credited["model"] == model)]
    keys = ["none" if channel is None else str(channel) for channel in plain(rows["channel_id"])]
    labels = ["unattributed" if row == "unattributed" else key for key, row in zip(keys, rows["channel"], strict=True)]
    return dict(zip(labels, rows["amount"].tolist(), strict=True))


@pytest.mark.parametrize("case", EXPECTED["pipeline_30d"])
@pytest.mark.parametrize("model", ["first", "last", "linear"])
def test_the_worked_examples_deals_are_credited(case, model):
    credited = pipeline_attribution(
        example("mailings"),
        opportunities=example("opportunities"),
        opportunity_prospect_roles=example("opportunity_prospect_roles"),
    )

    expected = case[model] or {"unattributed": case["unattributed"]}
    assert amounts(credited, case["opportunity_id"], model) == pytest.approx(expected)


def test_touches_count_up_to_the_window_and_until_the_deal():
    """0 ≤ created − touch ≤ 30 days, both ends included."""
    credited = credits_of(
        touch(1, 1), touch(31, 2), {**touch(1, 3), "delivered_at": "2025-02-28T23:59:59Z"}, models=["linear"]
    )

    assert credited["channel_id"].tolist() == [1, 2]
    later = credits_of({**touch(31, 2), "delivered_at": "2025-03-31T00:00:01Z"}, models=["linear"])
    assert later["channel"].tolist() == ["unattributed"]


@pytest.mark.parametrize("half_life_d", [0.02, 1e-9, 1e-300])
def test_a_tiny_half_life_gives_the_deal_to_its_last_touches(half_life_d):
    """All weights rounded to nothing, and the deal was lost."""
    credited = credits_of(touch(1, 1), touch(2, 2), touch(2, 3), models=["last", "time_decay"], half_life_d=half_life_d)

    shares = credited.set_index(["model", "channel_id"])["share"]
    assert shares["time_decay"][[2, 3]].tolist() == pytest.approx([0.5, 0.5])


def test_older_touches_weigh_less_by_their_half_life():
    """Touches 0, 7 and 14 days before the deal weigh 1, ½ and ¼."""
    credited = credits_of(touch(31, 1), touch(24, 2), touch(17, 3), models=["time_decay"])

    assert credited["share"].tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert credits_of(touch(31, 1), touch(17, 2), models=["time_decay"], half_life_d=14)["share"].iloc[
        0
    ] == pytest.approx(2 / 3)


def test_touches_at_the_same_instant_go_by_id():
    mail = mailings(touch(20, 5), touch(20, 4)).iloc[::-1]
    credited = pipeline_attribution(
        mail, opportunities=deals({}), opportunity_prospect_roles=roles((1, 1)), models=["first", "last"]
    )

    assert credited[["model", "channel_id"]].astype(str).to_numpy().tolist() == [["first", "5"], ["last", "4"]]


def test_bounced_mail_is_no_touch():
    credited = credits_of(touch(20, bounced_at="2025-03-20T01:00:00Z"), models=["first"])

    assert credited["channel"].tolist() == ["unattributed"]


def test_a_person_with_two_roles_is_touched_once():
    mail = mailings(touch(20, 1, 1), touch(21, 2, 2))
    credited = pipeline_attribution(
        mail, opportunities=deals({}), opportunity_prospect_roles=roles((1, 1), (1, 1), (1, 2)), models=["linear"]
    )

    assert credited["share"].tolist() == [0.5, 0.5]


def test_one_mailing_can_precede_two_deals():
    credited = pipeline_attribution(
        mailings(touch(20)),
        opportunities=deals({}, {}),
        opportunity_prospect_roles=roles((1, 1), (2, 1)),
        models=["linear"],
    )

    assert credited["opportunity_id"].tolist() == [1, 2]
    assert credited["amount"].tolist() == [1000, 1000]


def test_dialed_calls_are_touches_where_given():
    calls = make_frame(
        [
            {"id": 1, "prospect_id": 1, "sequence_id": 7, "direction": "outbound", "dialed_at": "2025-03-25T00:00:00Z"},
            {"id": 2, "prospect_id": 1, "sequence_id": 8, "direction": "inbound", "dialed_at": "2025-03-26T00:00:00Z"},
            {"id": 3, "prospect_id": 1, "sequence_id": 9, "direction": "outbound"},
        ],
        "answered_at",
        "completed_at",
    )

    credited = credits_of(touch(20, 1), calls=calls, models=["first", "last"])

    assert credited["channel_id"].tolist() == [1, 7]


def test_the_account_can_link_instead_of_roles():
    people = make_frame([{"id": 1, "account_id": 61}, {"id": 2, "account_id": 61}, {"id": 3, "account_id": 62}])
    mail = mailings(touch(20, 1, 1), touch(21, 2, 2), touch(22, 3, 3))

    credited = pipeline_attribution(
        mail,
        opportunities=deals({"account_id": 61}),
        opportunity_prospect_roles=roles(),
        prospects=people,
        link="account",
        models=["linear"],
    )

    assert credited["channel_id"].tolist() == [1, 2]


def test_users_can_be_credited_instead_of_sequences():
    credited = credits_of(touch(20, None, user_id=51), touch(21, 1, user_id=52), by="user_id", models=["linear"])

    assert credited[["channel", "channel_id"]].astype(str).to_numpy().tolist() == [["user", "51"], ["user", "52"]]


def test_the_crms_date_is_preferred_and_its_absence_named():
    """created_at is when the deal was synchronized, which can be weeks after it began."""
    late = {"created_at": "2025-03-31T00:00:00Z"}
    opportunities = deals(
        {**late, "external_created_at": "2025-03-10T00:00:00Z"}, {**late, "external_created_at": None}
    )

    with pytest.warns(SyncTimeWarning, match=r": 1 \(id 2\)"):
        credited = pipeline_attribution(
            mailings(touch(20)),
            opportunities=opportunities,
            opportunity_prospect_roles=roles((1, 1), (2, 1)),
            models=["first"],
        )

    assert credited["created_source"].tolist() == ["external", "outreach"]
    assert credited["channel"].tolist() == ["unattributed", "sequence"]


def test_currencies_are_never_added_and_a_missing_amount_is_not_zero():
    opportunities = deals({}, {"currency_type": "EUR"}, {"amount": None}, {"currency_type": None})
    pairs = roles((1, 1), (2, 1), (3, 1), (4, 1))

    with pytest.warns(MixedCurrencyWarning, match=r": 3 \(id 2, 3, 4\)"):
        credited = pipeline_attribution(
            mailings(touch(20)), opportunities=opportunities, opportunity_prospect_roles=pairs, models=["first"]
        )
    summary = attached(credited, "summary")

    assert plain(credited["amount"]) == [1000, 1000, None, 1000]
    assert plain(summary["currency"]) == ["EUR", "USD", None]
    assert summary["amount"].tolist() == [1000, 1000, 1000]
    assert summary["opportunities"].tolist() == [1, 2, 1]


def test_the_precise_amount_is_preferred():
    credited = pipeline_attribution(
        mailings(),
        opportunities=deals({"amount_precise": "1000.75"}),
        opportunity_prospect_roles=roles(),
        models=["first"],
    )

    assert credited["amount"].tolist() == [1000.75]


def test_trashed_deals_and_those_after_as_of_are_left_out():
    opportunities = deals({"trashed_at": "2025-04-02T00:00:00Z"}, {"external_created_at": "2025-04-03T00:00:00Z"}, {})

    credited = pipeline_attribution(
        mailings(),
        opportunities=opportunities,
        opportunity_prospect_roles=roles(),
        models=["first"],
        as_of="2025-04-01",
    )

    assert credited["opportunity_id"].tolist() == [3]
    assert credited.attrs["outreach_frames"]["dropped"] == {"opportunity in the trash": 1, "created after as_of": 1}


def test_the_summary_tells_credit_from_influence():
    """Influence overlaps: both sequences touched the whole deal, whatever a model gives them."""
    summary = attached(credits_of(touch(20, 1), touch(21, 2), models=["first", "linear"]), "summary")

    first, linear = (summary[summary["model"] == model] for model in ("first", "linear"))
    assert first[["channel_id", "opportunities", "amount"]].to_numpy().tolist() == [[1, 1, 1000], [2, 0, 0]]
    assert linear["amount"].tolist() == [500, 500]
    assert first["influenced_amount"].tolist() == linear["influenced_amount"].tolist() == [1000, 1000]


def test_stages_are_named_where_given():
    stages = make_frame([{"id": 5, "name": "Closed won", "is_closed": True}])

    credited = pipeline_attribution(
        mailings(),
        opportunities=deals({"opportunity_stage_id": 5}),
        opportunity_prospect_roles=roles(),
        opportunity_stages=stages,
        models=["first"],
    )

    assert credited[["stage", "is_closed"]].to_numpy().tolist() == [["Closed won", True]]


TOUCHES = st.lists(st.tuples(st.integers(1, 31), st.sampled_from([None, 1, 2, 3]), st.integers(1, 3)), max_size=12)


@settings(max_examples=25, deadline=None)
@given(TOUCHES, st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), max_size=8))
def test_every_model_adds_up_to_every_deal(touches, pairs):
    opportunities = deals({}, {"amount": 300, "currency_type": "EUR"}, {"amount": 7}, {"amount": None})
    mail = mailings(*(touch(day, sequence, prospect) for day, sequence, prospect in touches))

    credited = pipeline_attribution(mail, opportunities=opportunities, opportunity_prospect_roles=roles(*pairs))
    summary = attached(credited, "summary")

    shares = credited.groupby(["opportunity_id", "model"], observed=False)["share"].sum()
    assert shares.tolist() == pytest.approx([1.0] * 4 * len(MODELS))
    for model in MODELS:
        rows = summary[summary["model"] == model]
        assert rows.groupby("currency")["amount"].sum().to_dict() == pytest.approx({"EUR": 300, "USD": 1007})
        assert rows["credited"].sum() == pytest.approx(4)


def test_row_order_does_not_matter_and_attributes_are_json():
    mail = mailings(touch(20, 1), touch(21, 2), touch(22, None))
    again = pipeline_attribution(mail.iloc[::-1], opportunities=deals({}), opportunity_prospect_roles=roles((1, 1)))

    pd.testing.assert_frame_equal(
        again, pipeline_attribution(mail, opportunities=deals({}), opportunity_prospect_roles=roles((1, 1)))
    )
    json.dumps(again.attrs, allow_nan=False)


def test_no_deals_give_no_rows_of_the_same_types():
    none = pipeline_attribution(mailings(), opportunities=deals(), opportunity_prospect_roles=roles())

    assert len(none) == 0
    assert none.dtypes.equals(credits_of(touch(20)).dtypes)
    assert len(attached(none, "summary")) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"models": ["shapley"]},
        {"models": []},
        {"link": "domain"},
        {"by": "prospect_id"},
        {"half_life_d": 0},
        {"link": "account"},
    ],
)
def test_unknown_choices_are_refused(arguments):
    opportunities = deals({"account_id": 1})
    with pytest.raises(DataError):
        pipeline_attribution(mailings(), opportunities=opportunities, opportunity_prospect_roles=roles(), **arguments)


def test_bad_columns_are_named():
    with pytest.raises(MissingColumnError, match="'currency_type' is missing; pipeline_attribution needs it"):
        pipeline_attribution(
            mailings(), opportunities=deals({}).drop(columns="currency_type"), opportunity_prospect_roles=roles()
        )
    with pytest.raises(DataError, match=r"'amount' of opportunities is str.*, not numbers"):
        pipeline_attribution(
            mailings(), opportunities=deals({}).assign(amount="plenty"), opportunity_prospect_roles=roles()
        )
