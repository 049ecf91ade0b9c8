"""What ids and attributes of every shape become."""

from datetime import UTC, date, datetime

import pytest

from outreach_frames import catalog
from outreach_frames._jsonapi import to_frame
from outreach_frames.errors import DocumentError
from tests.jsonapi.flat_documents import body, layout, only, read, records, resource, to

NOON = datetime(2024, 1, 11, 12, tzinfo=UTC)


@pytest.mark.parametrize("sent", [17, "17"])
def test_an_id_may_be_a_number_or_text(sent):
    """Outreach sends integers, against the standard; an example of its own sends text."""
    page = body(
        resource("prospect", sent, {"owner": to("user", sent)}),
        included=[resource("user", sent, email="a@example.com")],
    )

    frame = read("prospect", page, fields=["owner"], include={"owner": ["email"]})

    assert records(frame) == [{"id": 17, "owner_id": 17, "owner__email": "a@example.com"}]


def test_ids_of_types_with_text_ids_stay_text():
    """Audit logs have UUIDs; leading zeros count."""
    page = body(
        resource("auditLog", "f98711fe-8a03-48b9-91d3-0f7994e999cc"),
        resource("auditLog", "007"),
        resource("auditLog", 7),
    )

    assert read("auditLog", page)["id"].to_list() == ["f98711fe-8a03-48b9-91d3-0f7994e999cc", "007", "7"]


@pytest.mark.parametrize("sent", [True, None, {}, []])
def test_an_id_that_is_neither_text_nor_number_is_refused(sent):
    """Even where ids are text, which would take anything."""
    with pytest.raises(DocumentError, match="an id"):
        read("auditLog", body(resource("auditLog", sent)))


@pytest.mark.parametrize("sent", ["f98711fe-8a03-48b9-91d3-0f7994e999cc", "007", 1.5, None, True, 2**63, [], {}])
def test_an_id_that_is_no_integer_is_refused_where_ids_are_integers(sent):
    """Nothing else could be joined to it."""
    with pytest.raises(DocumentError, match="id") as caught:
        read("prospect", body(resource("prospect", sent)))

    assert caught.value.attribute == "id"


def test_absent_and_null_attributes_are_missing():
    """Sparse fieldsets leave attributes out; null is how the API writes none."""
    frame = read("prospect", body(resource("prospect", 1, firstName=None), {"type": "prospect", "id": 2}))

    assert frame.drop(columns="id").isna().all(axis=None)


SURPRISES = [
    ("firstName", 3, "3"),
    ("firstName", 1.5, "1.5"),
    ("firstName", True, "true"),
    ("openCount", "3", 3),
    ("openCount", 3.0, 3),
    ("openCount", "-0", 0),
    ("score", 3, 3.0),
    ("score", "2.5", 2.5),
    ("optedOut", "true", True),
    ("optedOut", 0, False),
    ("tags", ["a", None, 3], ["a", None, "3"]),
    ("tags", [], []),
    ("createdAt", "2024-01-11T12:00:00", NOON),
    ("createdAt", "2024-01-11T12:00:00.123456Z", NOON.replace(microsecond=123456)),
    ("createdAt", "2024-01-11T12:00:00.1234569Z", NOON.replace(microsecond=123456)),
    ("createdAt", "2024-01-11T14:00:00+02:00", NOON),
    ("createdAt", "2024-01-11 06:30:00-0530", NOON),
    ("createdAt", "2024-01-11T12:00Z", NOON),
    ("createdAt", "2024-01-11", NOON.replace(hour=0)),
    ("dateOfBirth", "1990-02-28T00:00:00.000Z", date(1990, 2, 28)),
    ("contactHistogram", "text", '"text"'),
    ("contactHistogram", {"a": [1.10, None]}, '{"a":[1.1,null]}'),
]


@pytest.mark.parametrize(("name", "sent", "kept"), SURPRISES)
def test_a_value_of_a_surprising_type_is_kept_where_nothing_is_lost(name, sent, kept):
    """One odd record must not lose a sync; its neighbors are read as ever."""
    usual = resource("prospect", 2, firstName="Sally", createdAt="2024-01-11T12:00:00.000Z", openCount=1)
    column = catalog.load().resource("prospect").attribute(name).column

    frame = read("prospect", body(resource("prospect", 1, **{name: sent}), usual))

    assert records(frame)[0][column] == kept
    assert (frame.loc[1, "first_name"], frame.loc[1, "created_at"], frame.loc[1, "open_count"]) == ("Sally", NOON, 1)


MISFITS = [
    ("firstName", {"a": 1}),
    ("firstName", ["a"]),
    ("openCount", 3.5),
    ("openCount", "three"),
    ("openCount", ""),
    ("openCount", "007"),
    ("openCount", True),
    ("openCount", 2**63),
    ("score", "NaN"),
    ("score", "Infinity"),
    ("score", True),
    ("optedOut", "yes"),
    ("optedOut", 2),
    ("tags", "a"),
    ("tags", [["a"]]),
    ("createdAt", "soon"),
    ("createdAt", ""),
    ("createdAt", 1704974400),
    ("createdAt", "2024-02-30T00:00:00Z"),
    ("createdAt", "0000-00-00"),
    ("dateOfBirth", "28.2.1990"),
]


@pytest.mark.parametrize(("name", "sent"), MISFITS)
def test_a_value_that_does_not_fit_is_named(name, sent):
    """Nothing is silently nulled, and the record is found again by type and id."""
    with pytest.raises(DocumentError) as caught:
        read("prospect", body(resource("prospect", 1), resource("prospect", 2, **{name: sent})))

    assert (caught.value.resource_type, caught.value.id, caught.value.attribute) == ("prospect", 2, name)
    assert caught.value.hint is None  # which columns there are is not every caller's to choose


@pytest.mark.parametrize("name", ["openCount", "createdAt", "tags", "optedOut"])
def test_an_error_does_not_show_the_value(name):
    """The message may end in a log."""
    with pytest.raises(DocumentError) as caught:
        read("prospect", body(resource("prospect", 1, **{name: "sally@example.com"})))

    assert "sally" not in str(caught.value)


def test_one_column_may_hold_times_in_every_form():
    """A column is read as a whole, but its values need not be of one form."""
    forms = ["2024-01-11T12:00:00.000Z", "2024-01-11T12:00:00", None, "2024-01-11T13:00:00.5+01:00", "2024-01-11"]

    frame = read("prospect", body(*(resource("prospect", n, createdAt=form) for n, form in enumerate(forms))))

    assert records(frame[["created_at"]]) == [
        {"created_at": value} for value in (NOON, NOON, None, NOON.replace(microsecond=500_000), NOON.replace(hour=0))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Null",
        "null",
        "NaN",
        "None",
        "nan",
        "007",
        "1e5",
        "true",
        "",
        "a\nb\r\n\tc",
        "Ωmega 日本語 🦉",
        "\0",
        " ",
        '"\\',
    ],
)
def test_text_survives_whatever_it_looks_like(text):
    """People are called Null; zeros lead; names span lines and scripts."""
    assert read("prospect", body(resource("prospect", 1, firstName=text)))["first_name"].item() == text


def test_numbers_in_text_keep_their_digits():
    """A custom field that is a number elsewhere is text here, and 1.10 is not 1.1."""
    numbers = b'{"custom1": 1.10, "custom2": 12345678901234567890.123}'
    page = b'{"data": [{"type": "prospect", "id": 1, "attributes": %s}]}' % numbers

    assert only(read("prospect", page)) == {"id": 1, "custom1": "1.10", "custom2": "12345678901234567890.123"}


def test_objects_are_compact_json_text_as_sent():
    """White space goes, everything else stays: the order of members, the digits of numbers, members that come twice."""
    payload = b'{ "b" : 1.10,\n "a": [ ], "b": "\\u00e9 x" }'
    page = b'{"data": [{"type": "event", "id": 1, "attributes": {"payload": %s}}]}' % payload

    assert only(read("event", page))["payload"] == '{"b":1.10,"a":[],"b":"\\u00e9 x"}'


def test_members_that_come_twice_count_as_they_came_last():
    """As in every common JSON reader, on the strict path and on the tolerant one."""
    twice = b'{"data": [{"type": "prospect", "id": 1, "id": %s, "attributes": {"openCount": 1, "openCount": 2}}]}'

    assert only(read("prospect", twice % b"5")) == {"id": 5, "open_count": 2}
    assert only(read("prospect", twice % b'"5"')) == {"id": 5, "open_count": 2}


def test_unknown_attributes_are_reported_by_type():
    """The caller warns once per type; the names of other types come along."""
    page = body(
        resource("prospect", 1, {"owner": to("user", 3)}, shoeSize=44),
        resource("prospect", 2, {"rival": to("user", 3)}, shoeSize=None),
        included=[resource("user", 3, email="a@example.com", mood="fine")],
    )
    asked = layout("prospect", include={"owner": ["email"]})

    first = asked.page(page)
    second = asked.page(body(resource("prospect", 3)))

    assert first.unknown == {"prospect": frozenset({"shoeSize", "rival"}), "user": frozenset({"mood"})}
    assert second.unknown == {}
    assert first.batch.schema == second.batch.schema == asked.schema


def test_attributes_that_were_not_asked_for_are_not_news():
    """A server that ignores the fieldset sends what the catalog has anyhow."""
    page = layout("prospect", fields=["firstName"]).page(
        body(resource("prospect", 1, {"mailings": to("mailing", 1)}, openCount="odd", tags={}, firstName="Sally"))
    )

    assert page.unknown == {}
    assert page.batch.to_pylist() == [{"id": 1, "first_name": "Sally"}]


def test_open_layouts_keep_unknown_attributes_with_the_type_of_all_pages():
    """Page one has integers where page two has fractions; only both together tell the type."""
    asked = layout("prospect", open=True, include={"owner": None})
    pages = [
        body(
            resource(
                "prospect",
                1,
                {"owner": to("user", 3), "rivals": {"data": [{"type": "user", "id": 3}]}},
                shoeSize=44,
                seen="2024-01-11T12:00:00Z",
            ),
            included=[resource("user", 3, mood={"now": "fine"})],
        ),
        body(resource("prospect", 2, shoeSize=44.5, seen=None)),
    ]

    frame = to_frame([asked.page(page).batch for page in pages], asked.schema)

    assert records(frame[["id", "shoe_size", "seen", "owner__mood", "rivals_ids"]]) == [
        {"id": 1, "shoe_size": 44.0, "seen": NOON, "owner__mood": '{"now":"fine"}', "rivals_ids": [3]},
        {"id": 2, "shoe_size": 44.5, "seen": None, "owner__mood": None, "rivals_ids": None},
    ]


def test_an_unknown_attribute_does_not_take_the_column_of_a_known_one():
    """``owner_id`` is the foreign key whatever else is sent."""
    asked = layout("prospect", open=True)

    frame = to_frame(
        [asked.page(body(resource("prospect", 1, {"owner": to("user", 3)}, ownerId=99))).batch], asked.schema
    )

    assert (frame["owner_id"].item(), frame["owner_id_attribute"].item()) == (3, 99)


def test_unknown_names_that_make_one_column_make_several():
    """To keep one of them would lose the others; which value is whose does not change from page to page."""
    asked = layout("prospect", open=True, include={"owner": None})
    first = body(
        resource("prospect", 1, {"owner": to("user", 3), "rival": to("user", 4)}, fooBar="a", foo_bar="b", rival=5),
        included=[resource("user", 3, **{"foo-bar": "c", "fooBar": "d"})],
    )
    second = body(resource("prospect", 2, {"owner": to("user", 3)}, **{"foo-bar": 7, "foo_bar": "e"}))

    frame = to_frame([asked.page(page).batch for page in (first, second)], asked.schema)

    new = ["foo_bar", "foo_bar_attribute", "foo_bar_attribute_attribute", "rival", "rival_id"]
    joined = ["owner__foo_bar", "owner__foo_bar_attribute"]
    assert records(frame[[*new, *joined]]) == [
        dict(zip([*new, *joined], ["a", "b", None, 5, 4, "c", "d"], strict=True)),
        dict(zip([*new, *joined], [None, "e", 7, None, None, None, None], strict=True)),
    ]


@pytest.mark.parametrize(
    ("type_", "relationship", "target", "attribute", "sent"),
    [
        ("batchItem", "batch", "batch", "batchId", 9),
        ("complianceRequest", "requester", "user", "requesterId", 9),
        ("mailbox", "user", "user", "userId", 9),
        ("favorite", "target", "account", "targetId", 9),
        ("favorite", "target", "account", "targetType", "Account"),
    ],
)
def test_an_attribute_gives_way_to_a_foreign_key_of_the_same_column(type_, relationship, target, attribute, sent):
    """These are all the clashes of the catalog: the relationship has the name, the attribute is kept beside it."""
    frame = read(type_, body(resource(type_, 1, {relationship: to(target, 3)}, **{attribute: sent})))
    column = catalog.snake(attribute)

    assert frame[f"{column}_attribute"].item() == sent
    assert frame[column].item() == (target if column.endswith("_type") else 3)


def test_half_a_character_is_refused_in_unknown_attributes_too():
    """What is kept must be text."""
    with pytest.raises(DocumentError):
        layout("prospect", open=True).page(
            b'{"data": [{"type": "prospect", "id": 1, "attributes": {"nick": "\\ud800"}}]}'
        )


def test_unknown_numbers_that_no_type_holds_stay_text():
    """Better text than infinity or another number."""
    asked = layout("prospect", open=True)
    page = asked.page(
        b'{"data": [{"type": "prospect", "id": 1, "attributes": {"far": 1e999, "long": 18446744073709551616}}]}'
    )

    assert only(to_frame([page.batch], asked.schema)) == {"id": 1, "far": "1e999", "long": "18446744073709551616"}


def test_many_records_in_an_order_of_their_own_are_read_alike():
    """The order of members is learnt from the first large page and must not matter to any other."""
    asked = layout("prospect", fields=["firstName", "openCount", "createdAt"])
    sent = {"openCount": 3, "createdAt": "2024-01-11T12:00:00Z", "firstName": "Sally"}
    orders = [
        sent,
        dict(reversed(sent.items())),
        {"firstName": "Sally", "openCount": 3, "createdAt": sent["createdAt"]},
    ]

    for order in orders:
        page = asked.page(body(*(resource("prospect", n, **order) for n in range(150)), links={"next": "x"}))
        assert page.batch.to_pylist()[149] == {"id": 149, "first_name": "Sally", "open_count": 3, "created_at": NOON}
