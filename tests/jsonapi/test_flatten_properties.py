"""What is serialized and flattened is what it was, whatever the query, the organization and the cut of the pages."""

from itertools import pairwise

from hypothesis import given, settings, strategies as st

from outreach_frames._jsonapi import concat, read_jsonapi
from tests.jsonapi.flat_documents import layout, records
from tests.jsonapi.random_graphs import graphs, own_columns, page


@settings(max_examples=200, deadline=None)
@given(graph=graphs(), data=st.data())
def test_flattening_undoes_serializing(graph, data):
    """Values, links and included resources come back at any depth, however the walk is cut into pages."""
    asked = layout(graph.kind, fields=graph.fields, include=graph.include)
    cuts = [0, *sorted(data.draw(st.sets(st.integers(0, len(graph.rows))))), len(graph.rows)]
    parts = [graph.rows[low:high] for low, high in pairwise(cuts)]

    table = concat([asked.page(page(graph, part, data.draw)).batch for part in parts], asked.schema)

    assert table.schema == asked.schema
    assert table.to_pylist() == [{name: row[name] for name in asked.schema.names} for row in graph.expected()]


@settings(max_examples=100, deadline=None)
@given(graph=graphs(), data=st.data())
def test_reading_a_document_gives_what_its_resources_hold(graph, data):
    """Without a query: the columns that the document has, with the catalog's types, and no other values."""
    frame = read_jsonapi(page(graph, graph.rows, data.draw))
    expected = [{"id": row.id, **own_columns(graph.kind, graph.fields, row)} for row in graph.rows]

    asked_for = [name for name in frame if not expected or name in expected[0]]
    assert records(frame[asked_for]) == [{name: row[name] for name in asked_for} for row in expected]
    assert all(row[name] is None for row in expected for name in row if name not in frame)
