"""Which columns a query has, before any page is read."""

import pyarrow as pa
import pytest

from outreach_frames import catalog
from outreach_frames._jsonapi import concat, to_frame
from outreach_frames.errors import QueryError, UnknownNameError
from tests.jsonapi.flat_documents import layout


def test_columns_are_in_the_order_asked_for():
    """``id``, then the fields as named, then what is included."""
    asked = layout("prospect", fields=["owner", "lastName", "id", "firstName"], include={"account": ["name"]})

    assert asked.schema.names == ["id", "owner_id", "last_name", "first_name", "account__name"]


def test_all_columns_are_those_of_the_catalog():
    """Attributes first, then relationships that send identifiers, each with its Arrow type."""
    asked = layout("task")

    assert asked.schema.field("id").type == pa.int64()
    assert asked.schema.field("due_at").type == pa.timestamp("us", "UTC")
    assert asked.schema.field("subject_type").type == pa.string()
    assert asked.schema.field("prospect_contacts_ids").type == pa.list_(pa.int64())
    assert "mailings_ids" not in asked.schema.names


def test_every_type_has_a_layout():
    """With all that it can include; no two columns have one name."""
    known = catalog.load()
    for kind in known.types.values():
        include = {
            r.name: None
            for r in kind.relationships.values()
            if r.has_data and not r.many and r.targets[0] in known.types
        }
        names = layout(kind.name, include=include).schema.names
        assert len(set(names)) == len(names) > 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"fields": ["shoeSize"]}, UnknownNameError),
        ({"fields": ["mailings"]}, QueryError),
        ({"include": {"shoes": None}}, UnknownNameError),
        ({"include": {"owner": ["shoeSize"]}}, UnknownNameError),
        ({"include": {"owner.shoes": None}}, UnknownNameError),
        ({"include": {"mailings": None}}, QueryError),
        ({"include": {"assignedUsers": None}}, QueryError),
        ({"include": {"defaultPluginMapping": None}}, QueryError),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(options, error):
    """Before any page is read."""
    with pytest.raises(error):
        layout("prospect", **options)


def test_no_pages_make_an_empty_frame_with_all_columns():
    """Nothing found is a result, too."""
    asked = layout("prospect")

    frame = to_frame([], asked.schema)

    assert frame.empty
    assert list(frame) == asked.schema.names
    assert concat([], asked.schema).schema == asked.schema
