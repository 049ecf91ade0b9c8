import json

import pandas as pd
import pytest

from outreach_frames.errors import DataError
from outreach_frames.stats.provenance import attach, attached


def result():
    frame = pd.DataFrame({"id": [1]})
    attach(
        frame,
        "pairs",
        pd.DataFrame(
            {
                "id": pd.Series([1, None], dtype="int64[pyarrow]"),
                "rate": pd.Series([None, 0.5], dtype="double[pyarrow]"),
                "name": pd.Series(["A", None], dtype="string[pyarrow]"),
                "nothing": pd.Series([None, None], dtype="double[pyarrow]"),
            }
        ),
    )
    return frame


def test_a_table_comes_back_with_its_types_and_what_is_missing():
    table = attached(result(), "pairs")

    assert [str(dtype) for dtype in table.dtypes] == [
        "int64[pyarrow]",
        "double[pyarrow]",
        "string[pyarrow]",
        "double[pyarrow]",
    ]
    assert table.isna().sum().tolist() == [1, 1, 1, 2]


def test_attributes_are_json_and_survive_concatenation():
    """A frame in attrs breaks to_parquet, and pandas.concat, which compares attributes."""
    one, two = result(), result()

    json.dumps(one.attrs, allow_nan=False)
    assert attached(pd.concat([one, two]), "pairs").shape == (2, 4)


@pytest.mark.parametrize("name", ["summary", "outreach_frames"])
def test_a_table_that_is_not_there_is_named_with_those_that_are(name):
    frame = result()
    frame.attrs["outreach_frames"] = {"function": "ab_test"}

    with pytest.raises(DataError, match="It carries: pairs"):
        attached(frame, name)


def test_a_bare_frame_says_where_attachments_get_lost():
    with pytest.raises(DataError, match="Merging and grouping drop"):
        attached(pd.DataFrame(), "pairs")
