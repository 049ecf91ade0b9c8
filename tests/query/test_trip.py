"""Any query survives the trip to the sandbox's own parser, which shares no code with the client, and back."""

from datetime import UTC, date, datetime
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings, strategies as st

import outreach_frames as of
from outreach_frames import catalog
from outreach_frames._query import build
from outreach_frames._sandbox import SandboxSettings
from outreach_frames._sandbox.query import QueryReader
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.store import Store
from outreach_frames.errors import QueryError
from tests.fetch_support import organization, resource

CATALOG = catalog.load()
LISTABLE = [kind for kind in CATALOG.types.values() if "list" in kind.operations]
IDS = range(1, 5)


def parsed(part):
    """Write a query as a request, and read it as the sandbox does."""
    url = requests.Request("GET", "http://127.0.0.1/x", params=part.parameters()).prepare().url
    return QueryReader(Schema(Store()), SandboxSettings()).listing(part.resource, urlsplit(url).query)


# Structure: order, includes, fields


@st.composite
def paths(draw, kind, depth=3):
    """Draw an include path of to-one relationships, in either spelling."""
    open_ = [
        r
        for r in kind.relationships.values()
        if r.has_data and not r.many and any(t in CATALOG.types for t in r.targets)
    ]
    if not open_:
        return None
    relationship = draw(st.sampled_from(open_))
    step = draw(st.sampled_from([relationship.name, relationship.column]))
    targets = [CATALOG.types[t] for t in relationship.targets if t in CATALOG.types]
    rest = draw(paths(targets[0], depth - 1)) if depth > 1 and draw(st.booleans()) else None
    return f"{step}.{rest}" if rest else step


@st.composite
def structures(draw):
    """Draw a type and how it is asked for."""
    kind = draw(st.sampled_from(LISTABLE))
    sortable = [a for a in kind.attributes.values() if a.sortable]
    keys = draw(st.lists(st.sampled_from(sortable), unique_by=lambda a: a.name, max_size=3)) if sortable else []
    sort = [draw(st.sampled_from(["", "-"])) + draw(st.sampled_from([a.name, a.column])) for a in keys]
    members = [a.column for a in kind.attributes.values() if not a.write_only]
    members += [r.id_column for r in kind.relationships.values() if r.has_data]
    fields = draw(st.none() | st.just("*") | st.lists(st.sampled_from(members), max_size=8)) if members else None
    include = [path for path in draw(st.lists(paths(kind), max_size=3)) if path]
    return kind, {"sort": sort, "fields": fields, "include": include, "custom": draw(st.booleans())}


def tree(paths_):
    root = {}
    for path in paths_:
        branch = root
        for step in path.split("."):
            branch = branch.setdefault(step, {})
    return root


@settings(max_examples=400)
@given(structures())
def test_orders_includes_and_fields_arrive_as_they_were_meant(drawn):
    kind, asked = drawn
    query = build(CATALOG, kind.name, **asked)

    there = parsed(query)

    assert [str(key) for key in there.sort] == list(query.sort)
    assert [key.startswith("-") for key in asked["sort"]] == [key.descending for key in there.sort]
    assert there.include == tree(query.paths)
    assert {name: set(fields) for name, fields in there.fieldsets.items()} == {
        name: set(fields) for name, fields in query.sent_fieldsets.items()
    }
    if query.columns is not None:
        assert set(query.columns) <= there.fieldsets[kind.name]


# Meaning: filters, against a plain reading of them

FILTERED = {
    "prospects": ["first_name", "emails", "created_at", "engaged_score", "id", "account", "owner"],
    "opportunities": ["name", "close_date", "probability", "amount", "id"],
    "users": ["locked", "email", "first_name", "id", "role"],
    "sequences": ["enabled_at", "open_count", "name", "share_type", "owner"],
}
ODD = ["Smith, Sally", "a..b", "..", ",", "", "inf", "neginf", "[]", "a&b=c%2B+", "ünï"]
TEXT = st.one_of(st.sampled_from(ODD), st.sampled_from(ODD), st.text(max_size=6))
TEXT = TEXT.filter(lambda text: text not in {"__null__", "__notnull__"})
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - naive bounds are asked for
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


def values_of(kind, name):
    """Return a strategy of values for an attribute, a relationship or the id."""
    attribute = next((a for a in kind.attributes.values() if a.column == name), None)
    if attribute is None:
        return st.sampled_from(IDS)
    if attribute.format == "date-time":
        return MOMENTS
    if attribute.format == "date":
        return st.dates(date(2024, 1, 1), date(2026, 1, 1))
    return {
        "boolean": st.booleans(),
        "integer": st.integers(-5, 5),
        "number": st.floats(-5, 5),
        "array": TEXT,
        "string": TEXT,
    }[attribute.type]


@st.composite
def cases(draw):
    """Draw records of a type and filters that fit some of them."""
    table = draw(st.sampled_from(sorted(FILTERED)))
    kind = CATALOG.resource(table)
    names = [name for name in FILTERED[table] if name == "id" or _can_filter(kind, name)]
    pools = {name: draw(st.lists(values_of(kind, name), min_size=1, max_size=3)) for name in names}
    records = []
    for id_ in IDS:
        several = {n for n in names if n in kind.attributes and kind.attributes[n].type == "array"}
        records.append(
            {"id": id_}
            | {
                name: draw(
                    st.lists(st.sampled_from(pools[name]), max_size=2)
                    if name in several
                    else st.none() | st.sampled_from(pools[name])
                )
                for name in names
                if name != "id"
            }
        )
    chosen = draw(st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=3))
    return kind, records, {name: draw(_filter_values(pools[name])) for name in chosen}


def _can_filter(kind, name):
    member = kind.member(name)
    return member.filter != () if name in kind.relationships else member.filterable


@st.composite
def _filter_values(draw, pool):
    one = st.sampled_from(pool)
    way = draw(st.sampled_from(["scalar", "list", "between", "null", "not null"]))
    if way == "scalar":
        return draw(one)
    if way == "list":
        return draw(st.lists(one, max_size=3))
    if way == "between" and not isinstance(pool[0], bool):
        low, high = sorted([draw(one), draw(one)])
        return draw(st.sampled_from([of.between(low, high), of.between(low, None), of.between(None, high)]))
    return None if way == "null" else of.NOT_NULL


def holds(value, wanted):
    """Tell whether a record's value is what a filter asks for."""
    held = [v for v in (value if isinstance(value, list) else [value]) if v is not None]
    if wanted is None or wanted is of.NOT_NULL:
        return bool(held) is (wanted is of.NOT_NULL)
    if isinstance(wanted, type(of.between(1, 2))):
        return any((wanted.low is None or wanted.low <= v) and (wanted.high is None or v <= wanted.high) for v in held)
    return any(v in (wanted if isinstance(wanted, list) else [wanted]) for v in held)


def written(value):
    """Write a record's value as the API sends it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    return value.isoformat() if isinstance(value, date) else value


@pytest.fixture(scope="module")
def org(tmp_path_factory):
    with organization(tmp_path_factory.mktemp("cache")) as client:
        yield client


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases())
def test_filters_select_what_they_say(org, case):
    """In either syntax, which the client chooses by the values; null beside a comma is refused, not misread."""
    kind, records, filters = case
    for record in records:
        related = {n: v and (kind.relationships[n].targets[0], v) for n, v in record.items() if n in kind.relationships}
        attributes = {kind.attribute(n).name: v for n, v in record.items() if n != "id" and n not in related}
        sent = {n: [written(x) for x in v] if isinstance(v, list) else written(v) for n, v in attributes.items()}
        org.sandbox.put(resource(kind.name, record["id"], sent, **related))

    found = refused = None
    try:
        found = of.fetch(org, kind.table, filter=filters, fields=[], refresh=True)["id"].tolist()
    except QueryError as error:
        refused = str(error)

    if refused:
        assert "newer filter syntax" in refused
        assert any(wanted is None or wanted is of.NOT_NULL for wanted in filters.values())
    else:
        assert found == [r["id"] for r in records if all(holds(r[name], wanted) for name, wanted in filters.items())]
