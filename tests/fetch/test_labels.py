"""Custom fields under their labels, over real HTTP from ``GET /types``."""

import datetime as dt

import pandas as pd
import pyarrow as pa
import pytest

import outreach_frames as of
from outreach_frames.errors import DocumentError, OutreachDataWarning
from tests.fetch_support import Answers, organization, resource


def field(label, type_, definition=None):
    return {"label": label, "type": type_, "required": False, "definition": definition}


FIELDS = {
    "custom1": field("Contract value (EUR)", "currency", "EUR"),
    "custom2": field("Renewal date", "date"),
    "custom3": field("Last audit", "date_time"),
    "custom4": field("Region", "inclusion", ["North", "South", "East"]),
    "custom5": field("Products", "multi_inclusion", ["Base", "Plus", "Plus, extended"]),
    "custom6": field("Reference customer?", "boolean"),
    "custom7": field("Seats", "numerical"),
    "custom8": field("Discount", "percentage"),
    "custom9": field("Phone", "phone_number"),
    "custom10": field("Wiki", "url"),
    "custom11": field("Größe", "string"),
}
FULL = {
    "name": "Acme",
    "custom1": "1200.50",
    "custom2": "2026-05-01",
    "custom3": "2026-01-02T03:04:05",
    "custom4": "South",
    "custom5": "Base;Plus",
    "custom6": "true",
    "custom7": "12",
    "custom8": "7.5",
    "custom9": "+49 30 1",
    "custom10": "https://wiki.example/acme",
    "custom11": "groß",
    "custom12": "in a field without a label",
}


@pytest.fixture
def org(tmp_path):
    records = [resource("account", 1, FULL), resource("account", 2, {"name": "Birch"}), resource("mailing", 1)]
    with organization(tmp_path, *records, custom_fields={"account": FIELDS}) as client:
        yield client


def one(tmp_path, fields, attributes, **query):
    """Fetch a single account with these custom fields."""
    with organization(tmp_path, resource("account", 7, attributes), custom_fields={"account": fields}) as client:
        return of.fetch(client, "accounts", fields=["name"], custom="labels", **query)


def test_columns_are_the_labels_and_values_what_the_organization_declared(org):
    frame = of.fetch(org, "accounts", fields=["name"], custom="labels")

    assert frame.columns.tolist() == [
        *("id", "name", "contract_value_eur", "renewal_date", "last_audit", "region", "products"),
        *("reference_customer", "seats", "discount", "phone", "wiki", "größe"),
    ]
    first, second = (row for _, row in frame.drop(columns=["products"]).iterrows())
    assert first.iloc[1:].tolist() == [
        "Acme",
        1200.5,
        dt.date(2026, 5, 1),
        pd.Timestamp("2026-01-02T03:04:05Z"),
        "South",
        True,
        12.0,
        7.5,
        "+49 30 1",
        "https://wiki.example/acme",
        "groß",
    ]
    assert second.iloc[2:].isna().all()
    assert list(frame["products"][0]) == ["Base", "Plus"]


def test_types_are_the_declared_ones_also_where_there_is_nothing(org):
    """Dates are dates, numbers numbers, pick lists categories with all options, in the organization's order."""
    for frame in (
        of.fetch(org, "accounts", fields=[], custom="labels"),
        of.fetch(org, "accounts", fields=[], custom="labels", filter={"id": 99}),
    ):
        dtypes = frame.dtypes.to_dict()
        assert dtypes.pop("region") == pd.CategoricalDtype(["North", "South", "East"])
        assert {name: dtype.pyarrow_dtype for name, dtype in dtypes.items()} == {
            "id": pa.int64(),
            "contract_value_eur": pa.float64(),
            "renewal_date": pa.date32(),
            "last_audit": pa.timestamp("us", "UTC"),
            "products": pa.list_(pa.string()),
            "reference_customer": pa.bool_(),
            "seats": pa.float64(),
            "discount": pa.float64(),
            "phone": pa.string(),
            "wiki": pa.string(),
            "größe": pa.string(),
        }


def test_the_frame_says_what_its_columns_are_and_keeps_it_through_parquet(org, tmp_path):
    """Pick lists come back as Arrow's dictionaries, with the same options."""
    frame = of.fetch(org, "accounts", fields=["name"], custom="labels")
    told = frame.attrs["outreach_frames"]["custom_fields"]

    assert told["contract_value_eur"] == {
        "name": "custom1",
        "label": "Contract value (EUR)",
        "type": "currency",
        "definition": "EUR",
    }
    frame.to_parquet(tmp_path / "frame.parquet")
    again = pd.read_parquet(tmp_path / "frame.parquet", dtype_backend="pyarrow")
    pd.testing.assert_frame_equal(again.drop(columns="region"), frame.drop(columns="region"))
    assert again["region"].array.__arrow_array__().chunk(0).dictionary.to_pylist() == ["North", "South", "East"]
    assert again["region"].tolist() == ["South", pd.NA]
    assert again.attrs == frame.attrs


def test_only_labeled_fields_are_asked_for_and_the_labels_are_cached(org):
    """A hundred and fifty numbered fields are most of the cost of a page."""
    of.fetch(org, "accounts", fields=["name"], custom="labels")
    of.fetch(org, "accounts", fields=["name"], custom="labels", limit=1)

    assert [request.path for request in org.sandbox.requests].count("/api/v2/types") == 1
    asked = dict(org.sandbox.requests[1].parameters)["fields[account]"]
    assert asked == "name," + ",".join(f"custom{n}" for n in range(1, 12))
    assert of.fetch(org, "accounts", custom=True)["custom12"][0] == "in a field without a label"


def test_types_without_custom_fields_need_no_labels(org):
    frame = of.fetch(org, "mailings", custom="labels")

    assert frame.columns.tolist() == of.fetch(org, "mailings").columns.tolist()
    assert "/api/v2/types" not in [request.path for request in org.sandbox.requests]


def test_one_record_batches_and_tables_have_labels_too(org):
    row = of.fetch_one(org, "accounts", 1, fields=["name"], custom="labels")
    (batch,) = of.fetch_batches(org, "accounts", fields=["name"], custom="labels")
    tables = of.fetch_tables(org, "accounts", fields=["name"], custom="labels")

    assert row["seats"] == 12.0
    assert batch.schema.field("region").type == pa.dictionary(pa.int32(), pa.string())
    assert batch.column("renewal_date").to_pylist() == [dt.date(2026, 5, 1), None]
    pd.testing.assert_frame_equal(
        tables["accounts"], of.fetch(org, "accounts", fields=["name"], custom="labels"), check_flags=False
    )


def test_the_spelling_of_types_does_not_matter(org):
    org.sandbox.settings.types_spelling = "capitalized"

    assert "seats" in of.fetch(org, "accounts", custom="labels")


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        ({"custom1": "Name"}, ["name_custom1"]),
        ({"custom1": "Owner ID"}, ["owner_id_custom1"]),
        ({"custom1": "Region", "custom2": "region!"}, ["region_custom1", "region_custom2"]),
        (
            {"custom1": "Region", "custom2": "region", "custom3": "Region custom1"},
            ["custom1", "region_custom2", "custom3"],
        ),
        ({"custom1": "%"}, ["custom1"]),
        ({"custom1": ""}, ["custom1"]),
        ({"custom1": None}, ["custom1"]),
        ({"custom1": "Custom 2", "custom2": "b"}, ["custom_2", "b"]),
        ({"custom1": "owner__name"}, ["owner_name"]),
    ],
)
def test_clashing_labels_keep_the_apis_name_behind_them(tmp_path, labels, columns):
    """Neither of two equal labels is taken for the other, and no joined column can be meant."""
    fields = {name: field(label, "string") for name, label in labels.items()}

    frame = one(tmp_path, fields, {"name": "A", **dict.fromkeys(labels, "x")})

    assert frame.columns.tolist() == ["id", "name", *columns]
    assert frame[columns].iloc[0].tolist() == ["x"] * len(columns)


def test_a_label_does_not_displace_an_attribute_that_the_catalog_does_not_know(tmp_path):
    fields = {"custom1": field("Shoe size", "numerical")}
    records = [resource("account", 1, {"custom1": "41", "shoeSize": 43})]
    with organization(tmp_path, *records, custom_fields={"account": fields}) as client:
        frame = of.fetch(client, "accounts", fields="*", custom="labels")

    assert frame[["shoe_size", "shoe_size_custom1"]].iloc[0].tolist() == [43, 41.0]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("numerical", "about ten"),
        ("numerical", "1,200"),
        ("numerical", "nan"),
        ("currency", "1e999"),
        ("percentage", "7 %"),
        ("date", "2026-02-30"),
        ("date", "01.02.2026"),
        ("date_time", "noon"),
        ("boolean", "perhaps"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_missing_and_said_to_be(tmp_path, type_, value):
    """The column keeps its type, so that one typing error does not turn numbers into text; nothing goes silently."""
    with pytest.warns(OutreachDataWarning, match=rf"1 of x \(custom1, {type_}\), in id 7") as caught:
        frame = one(tmp_path, {"custom1": field("X", type_)}, {"custom1": value})

    assert frame["x"].isna().all()
    assert "custom=True" in str(caught[0].message)
    assert value not in str(caught[0].message)


def test_a_date_off_midnight_is_kept_as_written_and_said_to_be(tmp_path):
    """Nobody's midnight is near, so that the day that was meant is not known."""
    with pytest.warns(OutreachDataWarning, match=r"kept as written: 1 of x \(custom1, date\), in id 7"):
        frame = one(tmp_path, {"custom1": field("X", "date")}, {"custom1": "1990-12-30T13:47:12Z"})

    assert frame["x"].item() == dt.date(1990, 12, 30)


@pytest.mark.parametrize(
    ("type_", "written", "meant"),
    [
        ("numerical", "+5", 5.0),
        ("percentage", " 007.50", 7.5),
        ("currency", "-1E3", -1000.0),
        ("boolean", "TRUE", True),
        ("date", "1990-12-30T21:00:00.000Z", dt.date(1990, 12, 31)),
        ("date", "1990-12-31T00:00:00+02:00", dt.date(1990, 12, 31)),
    ],
)
def test_values_are_read_as_people_write_them(tmp_path, type_, written, meant):
    """The fields are text that was typed into a form, not JSON."""
    frame = one(tmp_path, {"custom1": field("X", type_)}, {"custom1": written})

    assert frame["x"].tolist() == [meant]


@pytest.mark.parametrize("type_", ["numerical", "date", "date_time", "boolean", "inclusion", "multi_inclusion"])
def test_empty_text_is_no_value(tmp_path, type_):
    frame = one(tmp_path, {"custom1": field("X", type_, ["a"])}, {"custom1": ""})

    assert frame["x"].isna().all()


def test_text_is_kept_as_it_is(tmp_path):
    """Names such as "Null", leading zeros and white space are values."""
    for value in ("Null", "NaN", "007", " ", "a\nb", ""):
        frame = one(tmp_path, {"custom1": field("X", "string")}, {"custom1": value})
        assert frame["x"].tolist() == [value]


def test_a_choice_that_is_no_longer_offered_is_kept_behind_the_others(tmp_path):
    frame = one(tmp_path, {"custom1": field("X", "inclusion", ["a", "b"])}, {"custom1": "former"})

    assert frame["x"].tolist() == ["former"]
    assert frame["x"].cat.categories.tolist() == ["a", "b", "former"]


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        ("Base", ["Base"]),
        ("Base;Plus", ["Base", "Plus"]),
        ("Base, Plus", ["Base", "Plus"]),
        ('["Base", "Plus, extended"]', ["Base", "Plus, extended"]),
        ("Plus, extended", ["Plus, extended"]),
        ("Plus, extended;Base", ["Plus, extended", "Base"]),
        ("Base, former", ["Base, former"]),
        ("[odd", ["[odd"]),
    ],
)
def test_several_choices_are_split_where_all_parts_are_choices(tmp_path, value, choices):
    """The vendor does not say how they are written; what cannot be told apart stays one."""
    options = ["Base", "Plus", "Plus, extended"]

    frame = one(tmp_path, {"custom1": field("X", "multi_inclusion", options)}, {"custom1": value})

    assert list(frame["x"][0]) == choices


def test_a_type_that_is_not_known_is_text(tmp_path):
    assert one(tmp_path, {"custom1": field("X", "hologram")}, {"custom1": "1"})["x"].tolist() == ["1"]


@pytest.mark.parametrize("body", [{"data": {}}, {"data": [{"meta": 1}]}, b'{"data": [{"type": "account", "meta": 7}]}'])
def test_labels_that_cannot_be_read_are_a_typed_error(tmp_path, body):
    with (
        Answers({"/types": body}) as server,
        of.connect("x", server.url, cache_dir=tmp_path) as org,
        pytest.raises(DocumentError, match="custom=True"),
    ):
        of.fetch(org, "accounts", custom="labels")


def test_the_seeded_organization_has_labeled_fields():
    """Whoever tries ``custom="labels"`` on the sandbox must see what it does."""
    with of.sandbox(prospects=30) as org:
        prospects = of.fetch_prospects(org, custom="labels")

    assert prospects["replaces"].dtype == pd.CategoricalDtype(["Legacy system", "Spreadsheet", "Competitor"])
    assert prospects["replaces"].notna().any()
    assert prospects["batch_number"].str.fullmatch(r"\d{3}").all()
