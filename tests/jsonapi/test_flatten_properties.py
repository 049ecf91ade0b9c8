"""What is serialised and flattened is what it was, whatever the query, the organisation and the cut of the pages."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import KNOWN, graphs, page

from outreach_frames.jsonapi import Layout, concat


@settings(max_examples=200, deadline=None)
@given(graph=graphs(), data=st.data())
def test_flattening_undoes_serialising(graph, data):
    """Values, links and included resources come back at any depth, however the walk is cut into pages."""
    asked = Layout(graph.kind, fields=graph.fields, include=graph.include, catalogue=KNOWN)
    cuts = [0, *sorted(data.draw(st.sets(st.integers(0, len(graph.rows))))), len(graph.rows)]
    parts = [graph.rows[low:high] for low, high in pairwise(cuts)]

    table = concat([asked.page(page(graph, part, data.draw)).batch for part in parts], asked.schema)

    assert table.schema == asked.schema
    assert table.to_pylist() == [{name: row[name] for name in asked.schema.names} for row in graph.expected()]
