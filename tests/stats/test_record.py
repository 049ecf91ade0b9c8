"""How a result says what it was made of."""

import json

import pandas as pd
import pyarrow as pa
import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError
from outreach_frames.metrics import DEFINITIONS
from tests.frames import AS_OF, ENGINES, example


def test_a_result_records_how_it_was_made():
    record = stats.engagement(example("mailings"), by="sequence_id", ci=0.9).attrs["outreach_frames"]

    assert record["function"] == "engagement"
    assert record["parameters"]["by"] == ["sequence_id"]
    assert record["parameters"]["ci"] == 0.9
    assert record["as_of"] == AS_OF
    assert record["rows_in"] == {"mailings": 12}
    assert record["dropped"] == {"sequence_id missing": 2}
    assert record["version"]


def test_the_record_is_json_and_survives_parquet(tmp_path):
    rates = stats.sequence_engagement(
        example("mailings"), sequences=example("sequences"), alias={20: 10}, since=pd.Timestamp("2025-03-01", tz="UTC")
    )
    rates.to_parquet(tmp_path / "rates.parquet")

    back = pd.read_parquet(tmp_path / "rates.parquet", dtype_backend="pyarrow")

    assert json.loads(json.dumps(rates.attrs)) == rates.attrs
    assert back.attrs == rates.attrs
    pd.testing.assert_frame_equal(back, rates)


def test_a_pyarrow_result_keeps_the_record_in_its_metadata_and_gives_it_on():
    table = pa.Table.from_pandas(example("mailings"))

    durations = stats.time_to_event(table, as_of=AS_OF)

    assert json.loads(durations.schema.metadata[b"outreach_frames"])["as_of"] == AS_OF
    assert stats.kaplan_meier(durations).attrs["outreach_frames"]["as_of"] == AS_OF


def test_explain_prints_parameters_exclusions_and_definitions(capsys):
    stats.explain(stats.engagement(example("mailings"), by="sequence_id"))

    printed = capsys.readouterr().out
    assert "engagement (outreach_frames " in printed
    assert "by=['sequence_id']" in printed
    assert "As of: 2025-03-31T00:00:00Z" in printed
    assert "Rows in: 12 mailings" in printed
    assert "  2: sequence_id missing" in printed
    assert "  reply_rate = replied mailings / delivered mailings" in printed
    assert "cif_reply" not in printed


def test_explain_has_no_line_for_definitions_that_there_are_not(capsys):
    stats.explain(stats.power_table())

    assert "Definitions:" not in capsys.readouterr().out


def test_a_name_that_means_several_things_is_defined_by_its_function(capsys):
    stats.explain(stats.overlaps(example("mailings"), sequence_states=example("sequence_states")))

    assert "  touches = delivered mailings\n" in capsys.readouterr().out


def test_definitions_are_for_readers_who_wrote_no_code():
    """They stand below the headlines of a customer's summary."""
    assert [text for text in DEFINITIONS.values() if "bounce_policy" in text or "by=" in text] == []


def test_explain_says_when_nothing_was_left_out(capsys):
    stats.explain(stats.engagement(ENGINES["pyarrow"](example("mailings"))))

    assert "Left out: nothing" in capsys.readouterr().out


@pytest.mark.parametrize("frame", [pd.DataFrame({"a": [1]}), example("mailings"), pa.table({"a": [1]})])
def test_a_frame_without_a_record_cannot_be_explained(frame):
    with pytest.raises(DataError, match="no record of a statistic"):
        stats.explain(frame)
