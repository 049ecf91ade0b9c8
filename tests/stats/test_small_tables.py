"""What holds for every statistic on small tables: the kinds of frame, the record, bad input, and no side effects."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError, NaiveTimestampWarning
from tests.frames import AS_OF, example, mailings, make_frame

pytestmark = pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")

VARIANTS = make_frame(
    [
        {"id": 1, "sequence_step_id": 101, "template_id": 301, "enabled": True, "enabled_at": "2025-03-01T00:00:00Z"},
        {"id": 2, "sequence_step_id": 101, "template_id": 302, "enabled": True, "enabled_at": "2025-03-01T00:00:00Z"},
    ]
)
BOXES = make_frame(
    [{"id": 41, "sync_disabled": False, "sync_success_at": "2025-03-30T23:00:00Z", "max_mailings_per_day": 50}],
    *["send_disabled", "send_errored_at", "send_success_at", "sync_errored_at"],
)
PERIODS = {"a": ("2025-03-01", "2025-03-08"), "b": ("2025-03-08", "2025-03-15"), "by": "sequence_id"}

STATISTICS = {
    "ab_test": lambda mail: stats.ab_test(mail, sequence_templates=VARIANTS, templates=example("templates")),
    "dashboard_comparison": lambda mail: stats.dashboard_comparison(
        mail, sequences=example("sequences"), sequence_states=example("sequence_states")
    ),
    "leaderboard": lambda mail: stats.leaderboard(mail, users=example("users")),
    "reply_attribution": stats.reply_attribution,
    "mailbox_health": lambda mail: stats.mailbox_health(mail, mailboxes=BOXES, as_of=AS_OF),
    "suspect_engagement": stats.suspect_engagement,
    "pipeline_attribution": lambda mail: stats.pipeline_attribution(
        mail, opportunities=example("opportunities"), opportunity_prospect_roles=example("opportunity_prospect_roles")
    ),
    "reconcile_counters": lambda mail: stats.reconcile_counters(mail, sequences=example("sequences")),
    "overlaps": lambda mail: stats.overlaps(mail, sequence_states=example("sequence_states")),
    "opt_out_violations": lambda mail: stats.opt_out_violations(
        mail, prospects=example("prospects"), sequences=example("sequences")
    ),
    "data_quality": lambda mail: stats.data_quality({"mailings": mail, "prospects": example("prospects")}),
    "compare_periods": lambda mail: stats.compare_periods(mail, statistic=stats.engagement, **PERIODS),
    "summarize": lambda mail: stats.summarize({"mailings": mail}).to_frame(),
}
SINGLE = sorted(set(STATISTICS) - {"data_quality", "summarize"})
"""Those that read mailings as they are, and refuse what is wrong with them."""


def numpy_backed(mail):
    """Make the frame that a CSV file or a plain constructor gives: floats for ids with gaps, object for text."""
    plain = pd.DataFrame({name: np.array(mail[name].tolist(), dtype=object) for name in mail.columns})
    for name in plain.columns:
        if name.endswith("_at"):
            plain[name] = pd.to_datetime(mail[name].astype("datetime64[ns, UTC]"))
        elif name.endswith(("_id", "_count")):
            plain[name] = mail[name].to_numpy(dtype=float, na_value=np.nan)
    plain = plain.replace({pd.NA: None}).astype({"id": int})
    plain.attrs = mail.attrs
    return plain


@pytest.mark.parametrize("name", STATISTICS)
def test_numpy_backed_frames_give_the_same(name):
    mail = example("mailings")

    pd.testing.assert_frame_equal(STATISTICS[name](numpy_backed(mail)), STATISTICS[name](mail))


@pytest.mark.parametrize("name", STATISTICS)
def test_index_order_and_unknown_columns_do_not_matter(name):
    mail = example("mailings")
    other = mail.sample(frac=1, random_state=4).assign(unheard_of="x").set_index(pd.Index(["same"] * len(mail)))

    pd.testing.assert_frame_equal(STATISTICS[name](other), STATISTICS[name](mail))


@pytest.mark.parametrize("name", STATISTICS)
def test_the_callers_frame_stays_as_it_was(name):
    mail = example("mailings")
    before = mail.copy(deep=True)

    STATISTICS[name](mail)

    pd.testing.assert_frame_equal(mail, before)
    assert mail.attrs == before.attrs


@pytest.mark.parametrize("name", STATISTICS)
def test_results_are_arrow_backed_with_a_record_that_is_json_and_can_be_explained(name, capsys, tmp_path):
    found = STATISTICS[name](example("mailings"))
    record = found.attrs["outreach_frames"]

    assert record["function"] == name
    assert record["as_of"] == AS_OF
    assert record["rows_in"]["mailings"] == 12
    json.dumps(found.attrs, allow_nan=False)
    assert all(isinstance(dtype, pd.ArrowDtype | pd.CategoricalDtype | pd.StringDtype) for dtype in found.dtypes)
    assert found.index.equals(pd.RangeIndex(len(found)))
    stats.explain(found)
    assert capsys.readouterr().out.startswith(name)
    found.to_parquet(tmp_path / "found.parquet")


@pytest.mark.parametrize("name", STATISTICS)
def test_nothing_but_missing_values_is_no_error(name):
    """A first extraction may hold scheduled mail only."""
    mail = mailings({}, {})
    mail.attrs["outreach_frames"] = {"resource": "mailings", "as_of": AS_OF}
    nameless = mail.assign(**{column: None for column in mail.columns if column != "id"})

    pd.testing.assert_frame_equal(STATISTICS[name](nameless), STATISTICS[name](mail))


@pytest.mark.parametrize("name", SINGLE)
def test_naive_instants_are_read_as_utc_with_one_warning(name):
    mail = example("mailings")
    naive = mail.assign(**{at: mail[at].dt.tz_localize(None) for at in ("delivered_at", "replied_at")})

    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        found = STATISTICS[name](naive)

    about_zones = [str(one.message) for one in issued if one.category is NaiveTimestampWarning]
    assert about_zones == ["2 column(s) of mailings have no time zone and were read as UTC: delivered_at, replied_at."]
    pd.testing.assert_frame_equal(found, STATISTICS[name](mail))


@pytest.mark.parametrize("name", SINGLE)
def test_bad_mailings_are_refused(name):
    mail = example("mailings")

    with pytest.raises(DataError, match="occur more than once"):
        STATISTICS[name](pd.concat([mail, mail.head(1)]))
    with pytest.raises(DataError, match="Column 'delivered_at' of mailings is"):
        STATISTICS[name](mail.assign(delivered_at="yesterday"))
    with pytest.raises(MissingColumnError, match="'replied_at' is missing"):
        STATISTICS[name](mail.drop(columns="replied_at"))


@pytest.mark.parametrize("name", STATISTICS)
def test_what_is_no_frame_is_refused_with_the_way_out(name):
    """Frames of polars and PyArrow are taken; tests/fetch/test_frame_kinds.py compares what comes of them."""
    with pytest.raises(DataError) as caught:
        STATISTICS[name]({"id": [1]})

    assert "frame" in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(STATISTICS) - {"mailbox_health", "data_quality", "summarize"}))
def test_an_unknown_extraction_time_is_only_left_out_of_the_record(name):
    mail = example("mailings")
    mail.attrs = {}

    assert STATISTICS[name](mail).attrs["outreach_frames"]["as_of"] in {None, AS_OF}
