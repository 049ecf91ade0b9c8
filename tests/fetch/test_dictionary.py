"""The data dictionary of resource types says what a fetch gives and takes."""

import pytest

import outreach_frames as of
from outreach_frames import catalog
from outreach_frames.errors import QueryError, UnknownNameError

TYPES = sorted(kind.table for kind in catalog.load().types.values() if "list" in kind.operations)


@pytest.fixture(scope="module")
def org():
    with of.sandbox(prospects=20, seed=7) as client:
        yield client


@pytest.mark.parametrize("resource", ["prospects", "mailings", "tasks", "mailboxes", "sequence_steps"])
def test_columns_by_default_are_those_of_a_fetch(org, resource):
    about = of.columns(resource).set_index("column")
    frame = of.fetch(org, resource, limit=1)

    assert about.index[about["fetched"] == "by default"].tolist() == frame.columns.tolist()
    assert about.loc[frame.columns, "type"].tolist() == [str(dtype.pyarrow_dtype) for dtype in frame.dtypes]


@pytest.mark.parametrize("resource", TYPES)
def test_every_column_has_one_row_and_a_meaning(resource):
    about = of.columns(resource)

    assert about["column"].is_unique
    assert about["meaning"].notna().all()
    assert about["column"].iloc[0] == "id"


def test_columns_on_request_come_when_they_are_named(org):
    about = of.columns("templates").set_index("column")
    asked = about.index[about["fetched"] == "on request"].tolist()

    assert of.fetch(org, "templates", fields=asked, limit=1).columns.tolist() == ["id", *asked]
    assert {"body_html", "body_text"} <= {*asked}


def test_what_cannot_be_sorted_or_filtered_is_refused(org):
    about = of.columns("mailings").set_index("column")
    assert about.loc["delivered_at", ["filterable", "sortable"]].tolist() == [True, True]
    of.fetch(org, "mailings", filter={"delivered_at": of.NOT_NULL}, sort="delivered_at", limit=1)

    for column in about.index[~about["sortable"]]:
        with pytest.raises((QueryError, UnknownNameError)):
            of.fetch(org, "mailings", sort=column, limit=1)
    for column in about.index[~about["filterable"]]:
        with pytest.raises(QueryError):
            of.fetch(org, "mailings", filter={column: 1}, limit=1)


def test_labels_stand_in_place_of_numbers_with_a_connection(org):
    numbered, labeled = of.columns("prospects"), of.columns("prospects", client=org)
    frame = of.fetch_prospects(org, custom="labels", limit=1)

    assert frame.columns.isin(labeled["column"]).all()
    assert {"custom1", "custom150"} <= {*numbered["column"]}
    assert not labeled["column"].str.fullmatch(r"custom\d+").any()
    batch = labeled.set_index("column").loc["batch_number"]
    assert batch["meaning"] == "Custom field 'Batch number' (custom2) of the prospect."
    assert batch["fetched"] == "on request"


def test_an_unknown_type_is_told_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="'prospcts'") as raised:
        of.columns("prospcts")
    assert "prospects" in str(raised.value)


def test_the_dictionary_is_shown_for_reading():
    html = of.show(of.columns("mailings"), limit=200).to_html()

    assert "the latest open, not the first (machine opens included)" in html
    assert ">yes<" in html
