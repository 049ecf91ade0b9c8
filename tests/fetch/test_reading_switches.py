"""
Reading is right whichever way the API decides what its vendor does not say.

Each switch of the sandbox is an open question about the live service; the same fetches are made under every answer.
"""

import dataclasses
from typing import Literal, get_args, get_origin

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames._sandbox import SandboxSettings
from outreach_frames.errors import (
    AuthError,
    BadRequestError,
    OriginError,
    OutreachDataWarning,
    QueryError,
    ServerError,
    ValidationError,
)
from tests.fetch_support import organization, resource

DEFAULTS = SandboxSettings()
SEPARATE = {"unauthorized", "invalid_value_status", "count", "links_base_url"}
"""Switches about what fails, or what is unknown, which have tests of their own below."""


def alternatives():
    """Yield every other switch with each value that is not its default."""
    for field in dataclasses.fields(SandboxSettings):
        default = getattr(DEFAULTS, field.name)
        if field.name in SEPARATE:
            continue
        if isinstance(default, bool):
            values = [not default]
        elif (
            isinstance(default, int | float) and get_origin(SandboxSettings.__annotations__[field.name]) is not Literal
        ):
            values = [3] if field.name == "count_limit" else [default + 1]
        else:
            values = [value for value in get_args(SandboxSettings.__annotations__[field.name]) if value != default]
        assert values, f"no other value is known for {field.name}"
        yield from ((field.name, value) for value in values)


def records():
    """Return accounts with gaps, cases and ties, and a link to each from a prospect."""
    names = ["Acme", "acme", None, "Birch, Inc.", "Null", "007", "Ünal", "a..b"]
    for number, name in enumerate(names, start=1):
        created = f"2025-01-{1 + number // 2:02d}T00:00:00.000Z"
        attributes = {"name": name, "named": True, "createdAt": created, "buyerIntentScore": number / 2}
        yield resource("account", number, attributes, owner=("user", 1))
        yield resource(
            "prospect", number, {"firstName": f"P{number}", "createdAt": created}, account=("account", number)
        )
    yield resource("account", 99, {"name": None, "named": False, "createdAt": "2025-02-01T00:00:00.000Z"})
    yield resource("user", 1, {"email": "ana@example.com"})
    yield resource("template", 1, {"name": None, "createdAt": "2025-01-01T00:00:00.000Z"})


@pytest.fixture(scope="module")
def org(tmp_path_factory):
    with organization(tmp_path_factory.mktemp("cache"), *records()) as client:
        yield client


@pytest.fixture
def settings(org):
    """Return the settings, as they were before each test."""
    vars(org.sandbox.settings).update(vars(SandboxSettings()))
    org.cache.clear()
    yield org.sandbox.settings
    vars(org.sandbox.settings).update(vars(SandboxSettings()))


def reads(org):
    """Return what a session of work reads: everything, filtered in both syntaxes, joined, in pages, one, as tables."""
    columns = ["name", "created_at", "buyer_intent_score", "owner"]
    options = {"fields": columns, "page_size": 3, "progress": False}
    tables = of.fetch_tables(org, "accounts", include="owner", fields=["name"], page_size=2, progress=False)
    return {
        "walk": of.fetch(org, "accounts", **options),
        "parallel": of.fetch(org, "accounts", parallel=3, **options),
        "first": of.fetch(org, "accounts", limit=4, **options),
        "literal": of.fetch(org, "accounts", filter={"name": ["Birch, Inc.", "a..b", "007"]}, **options),
        "null": of.fetch(org, "accounts", filter={"name": None}, **options),
        "some": of.fetch(org, "accounts", filter={"name": of.NOT_NULL}, **options),
        "range": of.fetch(org, "accounts", filter={"created_at": of.between("2025-01-02", None)}, **options),
        "join": of.fetch(org, "prospects", include={"account.owner": ["email"], "account": ["name"]}),
        "one": of.fetch_one(org, "accounts", 2, fields=columns).to_frame(),
        "empty": of.fetch(org, "accounts", filter={"id": 12345}, **options),
        **tables,
    }


@pytest.fixture(scope="module")
def expected(org):
    return reads(org)


@pytest.mark.parametrize(("name", "value"), list(alternatives()))
def test_every_read_gives_the_same_under_every_answer(org, settings, expected, name, value):
    """Unnamed accounts are the exception: whether lists show them is what that switch says."""
    setattr(settings, name, value)

    found = reads(org)

    for key, frame in found.items():
        hidden = frame[frame["id"] != 99].reset_index(drop=True) if name == "lists_unnamed" and "id" in frame else frame
        pd.testing.assert_frame_equal(hidden, expected[key], obj=key)


def test_there_is_something_to_read(expected):
    """Else all answers would agree on nothing."""
    assert {name: len(frame) for name, frame in expected.items()} == {
        "walk": 8,
        "parallel": 8,
        "first": 4,
        "literal": 3,
        "null": 1,
        "some": 7,
        "range": 7,
        "join": 8,
        "one": 5,
        "empty": 0,
        "accounts": 8,
        "users": 1,
    }
    assert expected["join"]["account__owner__email"].tolist() == ["ana@example.com"] * 8


@pytest.mark.parametrize("nulls", ["lowest", "highest"])
def test_where_missing_values_stand_among_the_first_rows_is_the_apis_choice(org, settings, nulls):
    """Of all rows they are the last: those are sorted when they have come."""
    settings.nulls = nulls
    options = {"sort": "-name", "fields": ["name"], "page_size": 3, "progress": False}

    first, every = of.fetch(org, "accounts", limit=8, **options)["name"], of.fetch(org, "accounts", **options)["name"]

    assert first.notna().tolist() == ([True] * 7 + [False] if nulls == "lowest" else [False] + [True] * 7)
    assert every.notna().tolist() == [True] * 7 + [False]
    assert first.dropna().tolist() == every.dropna().tolist() == sorted(every.dropna(), reverse=True)


@pytest.mark.parametrize(("status", "error"), [(400, BadRequestError), (422, ValidationError)])
def test_a_filter_value_that_only_the_api_knows_to_be_wrong_is_a_typed_error(org, settings, status, error):
    settings.invalid_value_status = status

    with pytest.raises(error):
        of.fetch(org, "accounts", filter={"id": "x-1"})


@pytest.mark.parametrize("form", ["json:api", "gateway"])
def test_a_refused_token_is_the_same_error_in_either_form(org, settings, tmp_path, form):
    settings.unauthorized = form

    with of.connect("wrong", org.base_url, cache_dir=tmp_path) as stranger, pytest.raises(AuthError):
        of.fetch(stranger, "accounts")


def test_unknown_is_not_zero(org, settings):
    """Under load the API says count 0, truncated; an empty result says 0 and means it."""
    assert of.count(org, "accounts") == 8
    assert of.count(org, "accounts", filter={"id": 12345}) == 0
    settings.count = "unknown"

    with pytest.raises(ServerError, match="did not count"):
        of.count(org, "accounts")
    assert len(of.fetch(org, "accounts", page_size=2, parallel=2, limit=6, progress=False)) == 6


def test_a_count_that_stopped_says_so(org, settings):
    settings.count_limit = 3

    with pytest.warns(OutreachDataWarning, match="more than 3 accounts"):
        assert of.count(org, "accounts") == 3


def test_counting_a_long_list_counts_each_record_once(org):
    """Sent in parts, and a prospect with two of the addresses would count twice."""
    ids = [*range(1, 9), *range(10**6, 10**6 + 2000)]
    assert of.count(org, "accounts", filter={"id": ids}) == 8
    names = ["Acme", *(f"no-such-name-{n}" for n in range(500)), "acme"]
    vars(org.sandbox.settings).update(case_sensitive=False)
    assert of.count(org, "accounts", filter={"name": names}) == 2
    vars(org.sandbox.settings).update(vars(SandboxSettings()))


def test_parts_of_a_long_query_are_put_in_order_together_or_not_at_all(org):
    ids = list(range(1, 3000))
    frame = of.fetch(org, "accounts", filter={"id": ids}, sort="-buyer_intent_score", fields=["buyer_intent_score"])

    assert frame["id"].tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    with pytest.raises(QueryError, match="first rows"):
        of.fetch(org, "accounts", filter={"id": ids}, sort="name", limit=3)
    beside = of.fetch(org, "accounts", filter={"id": ids}, sort="-buyer_intent_score", fields=["created_at"])
    assert beside.columns.tolist() == ["id", "created_at"]
    assert beside["id"].tolist() == frame["id"].tolist()


def test_links_on_an_unknown_host_are_refused(org, settings):
    settings.links_base_url = "http://127.0.0.1:9/api/v2"

    with pytest.raises(OriginError):
        of.fetch(org, "accounts", page_size=2)


def test_an_offset_past_the_limit_and_a_page_too_large_are_refused_before_anything_is_sent(org):
    org.sandbox.clear_log()

    with pytest.raises(QueryError, match="no offset past 10,000"):
        of.fetch(org, "accounts", limit=20_000, parallel=2)
    with pytest.raises(QueryError, match="between 1 and 1,000"):
        of.fetch(org, "accounts", page_size=1001)
    assert org.sandbox.requests == ()
