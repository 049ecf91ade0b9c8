"""Any JSON:API document as a frame: of Outreach, of other servers, with resources or errors."""

import json
from datetime import UTC, date, datetime

import pytest

from outreach_frames._jsonapi import read_jsonapi
from outreach_frames.errors import DocumentError, QueryError, UnknownNameError
from tests.jsonapi.flat_documents import body, only, records, resource, to

ARTICLES = {
    "jsonapi": {"version": "1.1"},
    "links": {"self": "http://example.com/articles", "next": "http://example.com/articles?page[offset]=2"},
    "data": [
        {
            "type": "articles",
            "id": "1",
            "attributes": {
                "title": "JSON:API paints my bikeshed!",
                "word-count": 120,
                "published": "2024-01-11",
                "edited at": "2024-01-11T13:00:00+01:00",
                "rating": 4,
                "draft": False,
                "tags": ["a", "b"],
                "layout": {"columns": [1, 2]},
                "nothing": None,
                "mixed": 1,
            },
            "relationships": {
                "author": {"links": {"self": "x"}, "data": {"type": "people", "id": "9"}},
                "comments": {"data": [{"type": "comments", "id": "5"}, {"type": "comments", "id": "12"}]},
                "reviewer": {"data": None},
                "history": {"links": {"related": "x"}},
            },
            "links": {"self": "http://example.com/articles/1"},
        },
        {"type": "articles", "id": "02", "attributes": {"rating": 4.5, "mixed": "text", "tags": []}},
    ],
    "included": [
        {
            "type": "people",
            "id": "9",
            "attributes": {"firstName": "Dan"},
            "relationships": {"employer": {"data": {"type": "firms", "id": "1"}}},
        },
        {"type": "firms", "id": "1", "attributes": {"name": "Example"}},
        {"type": "comments", "id": "5", "attributes": {"body": "First!"}},
    ],
}


def test_a_foreign_document_is_typed_by_what_it_holds():
    """No catalog knows these types: the narrowest type that holds all values of a column is taken."""
    assert records(read_jsonapi(ARTICLES)) == [
        {
            "id": "1",
            "title": "JSON:API paints my bikeshed!",
            "word_count": 120,
            "published": date(2024, 1, 11),
            "edited_at": datetime(2024, 1, 11, 12, tzinfo=UTC),
            "rating": 4.0,
            "draft": False,
            "tags": ["a", "b"],
            "layout": '{"columns":[1,2]}',
            "nothing": None,
            "mixed": "1",
            "author_id": "9",
            "comments_ids": ["5", "12"],
            "reviewer_id": None,
            "author__first_name": "Dan",
            "author__employer_id": "1",
            "author__employer__name": "Example",
        },
        {
            **dict.fromkeys(read_jsonapi(ARTICLES)),
            "id": "02",
            "rating": 4.5,
            "mixed": "text",
            "tags": [],
        },
    ]


def test_the_documents_own_members_are_attributes_of_the_frame():
    """Links to further pages, counts and the version are not rows, and not lost."""
    assert read_jsonapi(ARTICLES).attrs["outreach_frames"] == {
        "links": ARTICLES["links"],
        "jsonapi": {"version": "1.1"},
    }


def test_the_source_may_be_bytes_text_a_path_or_an_object(tmp_path):
    """However the document was come by; a byte order mark is passed over."""
    path = tmp_path / "articles.json"
    text = json.dumps(ARTICLES)
    path.write_text(text, "utf-8-sig")
    expected = records(read_jsonapi(ARTICLES))

    for source in (text, f"\n {text}", f"\ufeff{text}", text.encode(), path, str(path)):
        assert records(read_jsonapi(source)) == expected


def test_a_file_that_is_not_there_is_an_ordinary_os_error(tmp_path):
    """A path is a path."""
    with pytest.raises(FileNotFoundError):
        read_jsonapi(str(tmp_path / "missing.json"))


@pytest.mark.parametrize("include", ["author", ["author"], {"author": None}])
def test_include_names_what_stands_beside_the_rows(include):
    """Instead of all that the document includes."""
    joined = [name for name in read_jsonapi(ARTICLES, include=include) if "__" in name]

    assert joined == ["author__first_name", "author__employer_id"]


def test_include_may_name_columns_and_nothing():
    """A mapping names columns, in either spelling; an empty list joins nothing."""
    assert [n for n in read_jsonapi(ARTICLES, include={"author": ["first_name"]}) if "__" in n] == [
        "author__first_name"
    ]
    assert not [n for n in read_jsonapi(ARTICLES, include=[]) if "__" in n]


@pytest.mark.parametrize(("include", "error"), [("publisher", UnknownNameError), ("comments", QueryError)])
def test_an_include_that_the_document_cannot_answer_is_refused(include, error):
    """An unknown relationship, and one to many."""
    with pytest.raises(error):
        read_jsonapi(ARTICLES, include=include)


def test_types_of_outreach_have_its_columns_types():
    """Whatever the values look like: counts that are all missing stay integers, text that looks like a date text."""
    frame = read_jsonapi(
        body(resource("prospect", 1, {"owner": {"data": None}}, openCount=None, firstName="2024-01-11"))
    )

    assert frame.dtypes.astype(str).to_dict() == {
        "id": "int64[pyarrow]",
        "open_count": "int64[pyarrow]",
        "first_name": "string[pyarrow]",
        "owner_id": "int64[pyarrow]",
    }


def test_a_type_of_another_server_by_a_name_of_outreach_is_read_as_it_is():
    """Half the world has users; their ids need not be integers nor their names text."""
    page = body(
        resource("user", "f98711fe", {"team": to("team", "x")}, name={"first": "Ada"}, email="ada@example.com"),
        resource("user", "007", name=None),
    )

    assert records(read_jsonapi(page)) == [
        {"id": "f98711fe", "name": '{"first":"Ada"}', "email": "ada@example.com", "team_id": "x"},
        {"id": "007", "name": None, "email": None, "team_id": None},
    ]


def test_ids_sent_as_integers_are_integers():
    """Of types that no catalog knows, too."""
    frame = read_jsonapi(body(resource("widget", 1, {"box": to("box", 7)})))

    assert frame.dtypes.astype(str).to_dict() == {"id": "int64[pyarrow]", "box_id": "int64[pyarrow]"}


def test_a_relationship_to_several_types_tells_which():
    """Whether or not the types are known; what they share is in one column."""
    page = body(
        resource("note", "1", {"about": to("car", "5")}),
        resource("note", "2", {"about": to("bus", "5")}),
        included=[resource("car", "5", wheels=4, name="Beetle"), resource("bus", "5", wheels="six", name="Omnibus")],
    )

    frame = read_jsonapi(page)

    assert records(frame[["about_id", "about_type", "about__wheels", "about__name"]]) == [
        {"about_id": "5", "about_type": "car", "about__wheels": "4", "about__name": "Beetle"},
        {"about_id": "5", "about_type": "bus", "about__wheels": "six", "about__name": "Omnibus"},
    ]


def test_a_collection_of_several_types_tells_which():
    """The rows keep the document's order; a column of several types is text."""
    page = body(
        resource("car", 1, wheels=4, owner="Ada"),
        resource("bus", 7, {"depot": to("car", 1)}, wheels="six"),
        resource("car", 2, wheels=3),
    )

    assert records(read_jsonapi(page)) == [
        {"id": 1, "type": "car", "wheels": "4", "owner": "Ada", "depot_id": None},
        {"id": 7, "type": "bus", "wheels": "six", "owner": None, "depot_id": 1},
        {"id": 2, "type": "car", "wheels": "3", "owner": None, "depot_id": None},
    ]


def test_rows_of_one_type_may_stand_beside_those_of_another():
    """A document holds each resource once; a path need not begin at every type."""
    page = body(resource("car", 1, wheels=4), resource("bus", 7, {"depot": to("car", 1)}))

    assert records(read_jsonapi(page, include="depot")) == [
        {"id": 1, "type": "car", "wheels": 4, "depot_id": None, "depot__wheels": None},
        {"id": 7, "type": "bus", "wheels": None, "depot_id": 1, "depot__wheels": 4},
    ]
    with pytest.raises(UnknownNameError):
        read_jsonapi(page, include="garage")


def test_a_flat_relationship_is_understood():
    """Webhooks write identifiers without the data around them."""
    assert only(read_jsonapi(body(resource("prospect", 9, {"owner": {"type": "user", "id": 3}})))) == {
        "id": 9,
        "owner_id": 3,
    }


@pytest.mark.parametrize("document", ['{"data": []}', '{"data": null}', '{"meta": {"count": 0}}', '{"jsonapi": {}}'])
def test_a_document_without_resources_is_an_empty_frame(document):
    """Nothing is known but that there would be ids."""
    frame = read_jsonapi(document)

    assert frame.shape == (0, 1)
    assert list(frame) == ["id"]


def test_a_document_of_errors_is_a_frame_of_errors():
    """Every member of an error object has its column, whether it was sent or not."""
    document = {
        "errors": [
            {
                "id": "validationError",
                "status": 422,
                "title": "Validation Error",
                "detail": "Name can't be blank.",
                "source": {"pointer": "/data/attributes/name"},
            },
            {
                "code": "7",
                "details": "As Outreach spells it once.",
                "source": {"parameter": "sort", "header": "Accept"},
                "links": {"about": {"href": "https://example.com/7"}},
                "meta": {"a": 1},
            },
        ]
    }
    frame = read_jsonapi(document)

    assert records(frame) == [
        {
            "id": "validationError",
            "status": "422",
            "code": None,
            "title": "Validation Error",
            "detail": "Name can't be blank.",
            "pointer": "/data/attributes/name",
            "parameter": None,
            "header": None,
            "about": None,
            "meta": None,
        },
        {
            "id": None,
            "status": None,
            "code": "7",
            "title": None,
            "detail": "As Outreach spells it once.",
            "pointer": None,
            "parameter": "sort",
            "header": "Accept",
            "about": "https://example.com/7",
            "meta": '{"a":1}',
        },
    ]


@pytest.mark.parametrize("none", [[], None])
def test_no_errors_beside_data_do_no_harm(none):
    assert len(read_jsonapi({"data": [resource("prospect", 1)], "errors": none})) == 1


def test_an_empty_list_of_errors_keeps_its_columns():
    """An empty result has all columns and types."""
    assert list(read_jsonapi({"errors": []})) == list(read_jsonapi({"errors": [{}]}))


def test_resources_without_ids_have_missing_ids():
    """As in requests to create; resources of the same document with ids keep theirs."""
    frame = read_jsonapi(
        {"data": [{"type": "prospect", "attributes": {"firstName": "Sally"}}, resource("prospect", 2)]}
    )

    assert records(frame) == [{"id": None, "first_name": "Sally"}, {"id": 2, "first_name": None}]


def test_a_resource_without_id_is_nobodys_relative():
    """A missing foreign key does not lead to the resource whose id is missing."""
    draft = {"type": "role", "attributes": {"name": "Draft"}, "relationships": {"parentRole": {"data": None}}}

    frame = read_jsonapi({"data": [draft, resource("role", 1, name="Chief")]}, include="parentRole")

    assert frame["parent_role__name"].isna().all()


def test_members_that_differ_only_in_spelling_each_have_a_column():
    """Names that no frame can tell apart get an underscore; an attribute gives way to a foreign key and to the id."""
    page = body(
        resource("widget", "1", {"box": to("box", "7")}, boxId=9, id="x", fooBar=1, **{"foo-bar": 2, "foo__bar": 3})
    )

    assert only(read_jsonapi(page)) == {
        "id": "1",
        "box_id_attribute": 9,
        "id_attribute": "x",
        "foo_bar": 1,
        "foo_bar_attribute": 2,
        "foo_bar_attribute_": 3,
        "box_id": "7",
    }


def test_a_circle_of_included_resources_is_followed_once_round():
    """No resource type comes twice on one path, or there would be no end of columns."""
    page = body(
        resource("person", "1", {"firm": to("firm", "1")}),
        included=[
            resource("firm", "1", {"boss": to("person", "2")}, name="Example"),
            resource("person", "2", {"firm": to("firm", "1")}, name="Boss"),
        ],
    )

    assert [name for name in read_jsonapi(page) if "__" in name] == ["firm__name", "firm__boss_id"]
    assert read_jsonapi(page, include="firm.boss")["firm__boss__name"].item() == "Boss"


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"{}",
        '{"error": "Invalid JWT token."}',
        '{"data": {"type": "prospect", "id": 1}',
        {"data": float("nan")},
        {"data": {"type": "x", "id": "1", "attributes": {"day": date(2024, 1, 11)}}},
        {"data": {"type": "x", "id": "1", "attributes": {"text": "\ud800"}}},
        {"data": {"type": "", "id": "1"}},
        {"data": [{"id": "1", "attributes": {}}]},
        {"data": [{"type": "x", "id": {}}]},
        {"errors": [3]},
        {"errors": 3},
        {"data": [resource("x", "1")], "errors": [{"title": "Not all"}]},
        {"data": [], "errors": [{"title": "Not all"}]},
        {"data": resource("prospect", 1), "errors": [{}]},
        {"data": [resource("x", "1")], "errors": 3},
        {"data": [resource("x", "1")], "included": [{"id": 1}]},
        {"data": [resource("x", "1", **{'a "name"': 1})]},
        {"data": [resource("x", "1", {"a\nname": to("y", "1")})]},
    ],
)
def test_what_is_no_document_is_refused(source):
    """One exception, whatever is wrong."""
    with pytest.raises(DocumentError):
        read_jsonapi(source)


def test_an_object_that_refers_to_itself_is_refused():
    """It cannot be JSON."""
    circle = {}
    circle["data"] = circle

    with pytest.raises(DocumentError):
        read_jsonapi(circle)


def test_whole_numbers_that_no_float_holds_keep_their_digits_beside_fractions():
    """2^53 + 1 would become 2^53: a wrong value, of which nobody is told."""
    found = read_jsonapi(
        {"data": [{"type": "t", "id": str(n), "attributes": {"size": size}} for n, size in enumerate([2**53 + 1, 0.5])]}
    )

    assert found["size"].tolist() == ["9007199254740993", "0.5"]


def test_another_servers_types_need_not_mean_what_outreachs_do():
    """Both have users; the other's ids are text, and so is what it calls a count."""
    user = {"type": "user", "id": "7", "attributes": {"activityNotificationsDisabled": None, "phoneNumber": 5}}

    outreachs, anothers = read_jsonapi({"data": user}), read_jsonapi({"data": user}, catalog=False)

    assert records(outreachs) == [{"id": 7, "activity_notifications_disabled": None, "phone_number": "5"}]
    assert records(anothers) == [{"id": "7", "activity_notifications_disabled": None, "phone_number": 5}]
    assert outreachs["activity_notifications_disabled"].dtype == "bool[pyarrow]"
    assert anothers["activity_notifications_disabled"].dtype == "string[pyarrow]"


MORE = {
    "another attribute": resource("prospect", 2, lastName="Li"),
    "an unknown attribute": resource("prospect", 2, shoeSize=44),
    "identifiers where the first has a link": resource("prospect", 2, {"account": to("account", 7)}),
    "a type that the relationship does not declare": resource("prospect", 2, {"owner": to("robot", 7)}),
    "several where one is declared": resource(
        "prospect", 2, {"owner": {"data": [{"type": "user", "id": 4}, {"type": "user", "id": 5}]}}
    ),
    "a number as text": resource("prospect", 2, openCount="3"),
    "text that is no number": resource("prospect", 2, openCount="many"),
    "an id that is no integer": resource("prospect", "x"),
    "an included resource with more": resource("prospect", 2, {"owner": to("user", 4)}),
}


@pytest.mark.parametrize("later", MORE.values(), ids=MORE)
def test_a_resource_that_differs_from_the_first_is_read_wherever_it_stands(later):
    """Columns are those of all resources; their values do not depend on the order of the rows."""
    first = resource("prospect", 1, {"owner": to("user", 3), "account": {"links": {"related": "x"}}}, openCount=9)
    users = [resource("user", 3, email="a@example.com"), resource("user", 4, email="b@example.com", title="Rep")]

    one, other = (read_jsonapi(body(*rows, included=users)) for rows in ([first, later], [later, first]))

    assert set(one) == set(other)
    assert one.iloc[::-1].reset_index(drop=True)[list(other)].equals(other)


def test_a_kind_of_value_is_told_by_the_whole_column():
    """One value late in a column decides whether a column is whole numbers, a date or text."""
    rows = [resource("x", str(n), count=n, day="2024-01-11", at="2024-01-11T12:00Z", flag=True) for n in range(300)]
    odd = {"count": 0.5, "day": "2024-01-11T12:00Z", "at": "2024-01-11", "flag": 1}

    types = read_jsonapi(body(*rows)).dtypes.astype(str).to_dict()
    mixed = read_jsonapi(body(*rows, resource("x", "300", **odd))).dtypes.astype(str).to_dict()

    assert types == {
        "id": "string[pyarrow]",
        "count": "int64[pyarrow]",
        "day": "date32[day][pyarrow]",
        "at": "timestamp[us, tz=UTC][pyarrow]",
        "flag": "bool[pyarrow]",
    }
    assert mixed == {**dict.fromkeys(types, "string[pyarrow]"), "count": "double[pyarrow]"}
