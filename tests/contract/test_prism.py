"""The same client against Prism, which serves the vendor's document and knows nothing of this project."""

import json

import pytest

import outreach_frames as of
from outreach_frames.catalog import load
from outreach_frames.errors import DocumentError, NotFoundError, ServerError
from tests.background_process import serving
from tests.contract_schemas import Contract, as_sent, in_frame

LISTABLE = sorted(name for name, kind in load().types.items() if "list" in kind.operations)
READABLE = sorted(name for name, kind in load().types.items() if "get" in kind.operations)


@pytest.fixture(scope="module")
def with_types(openapi_path, tmp_path_factory):
    """
    Return the document with each resource's own type filled in.

    The published one says of it only that it is text, so that Prism calls every record a "string".
    """
    document = json.loads(openapi_path.read_text(encoding="utf-8"))
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Response"):
            schema["properties"]["type"]["enum"] = [name.removesuffix("Response")]
    path = tmp_path_factory.mktemp("contract") / "openapi.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def connected(prism, tmp_path_factory):
    """Return a function that starts Prism and connects to it."""
    stack = []

    def connect(document, *options):
        running = serving(
            [*prism, "mock", "-h", "127.0.0.1", "-p", "0", *options, str(document)], r"listening on (\S+)"
        )
        client = of.connect("anything", running.__enter__(), cache_dir=tmp_path_factory.mktemp("cache"))
        stack.append((client, running))
        return client

    yield connect
    for client, running in stack:
        client.close()
        running.__exit__(None, None, None)


@pytest.fixture(scope="module")
def contract(openapi_path):
    return Contract(openapi_path)


@pytest.fixture(scope="module")
def published(connected, openapi_path):
    return connected(openapi_path)


@pytest.fixture(scope="module")
def static(connected, with_types):
    return connected(with_types)


@pytest.fixture(scope="module")
def dynamic(connected, with_types):
    return connected(with_types, "--dynamic")


@pytest.mark.parametrize("name", LISTABLE)
def test_every_list_of_the_published_document_answers_and_flattens(published, name):
    """As a document of any server; the client itself refuses records that are not of the type it asked for."""
    kind = load().types[name]
    body = published.get(kind.path, [("page[size]", "5"), ("count", "true")]).body

    frame = of.read_jsonapi(body)

    assert len(frame) == 1
    assert {
        kind.attributes[n].column.removesuffix("_attribute") for n in json.loads(body)["data"][0]["attributes"]
    } <= {column.removesuffix("_attribute") for column in frame}
    with pytest.raises(DocumentError, match="'string'"):
        of.fetch(published, name, fields="*")


def assert_same(kind, contract, resource, row):
    """Every attribute that was sent is in the row, typed, under its name, and the id of every relationship."""
    for attribute, value in resource.get("attributes", {}).items():
        schema = contract.attributes(kind.name)[attribute]
        assert in_frame(schema, row[kind.attributes[attribute].column]) == as_sent(schema, value), attribute
    for name, members in resource.get("relationships", {}).items():
        declared = kind.relationships.get(name)
        if declared is not None and declared.has_data and members.get("data"):
            ids = row[declared.id_column]
            data = members["data"]
            assert (list(ids) if declared.many else ids) == (
                [d["id"] for d in data] if declared.many else data["id"]
            ), name


@pytest.mark.parametrize("name", LISTABLE)
def test_every_list_is_fetched_with_the_documents_own_values(static, contract, name):
    kind = load().types[name]
    (sent,) = json.loads(static.get(kind.path).body)["data"]
    assert sent["attributes"]

    frame = of.fetch(static, name, fields="*")

    assert len(frame) == 1
    assert_same(kind, contract, sent, frame.iloc[0])


@pytest.mark.parametrize("name", READABLE)
def test_every_single_record_is_fetched(static, name):
    row = of.fetch_one(static, name, "a-7" if load().types[name].id_type == "string" else 7, fields="*")

    assert row["id"] in {0, "string"}


@pytest.mark.parametrize("name", LISTABLE)
def test_made_up_values_of_every_list_are_read_as_they_were_sent(dynamic, contract, name):
    """
    Random values, missing members, members that nobody declared: three answers of each.

    Where Prism invents a relationship that is no object, its answer is not JSON:API, and may be refused by name.
    """
    kind = load().types[name]
    for size in ("1", "2", "3"):
        answer = dynamic.get(kind.path, [("page[size]", size)])
        sent = json.loads(answer.body)["data"]
        invented = [v for r in sent for v in r.get("relationships", {}).values() if not isinstance(v, dict)]
        if invented:
            with pytest.raises(DocumentError, match=name):
                of.read_jsonapi(answer.body, strict=True)
            continue

        frame = of.read_jsonapi(answer.body).set_index("id")

        for resource in sent:
            assert_same(kind, contract, resource, frame.loc[resource["id"]])


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.UnknownAttributeWarning")
@pytest.mark.parametrize("name", LISTABLE)
def test_made_up_values_fill_the_columns_of_a_fetch(dynamic, name):
    """The columns are the catalog's whatever comes."""
    frame = of.fetch(dynamic, name, refresh=True)

    assert frame.columns.tolist() == of.fetch(dynamic, name, filter={"id": []}).columns.tolist()
    assert frame["id"].is_unique


def test_queries_of_every_kind_are_accepted(static):
    """The document declares no parameters; what is asked must at least not be refused."""
    frame = of.fetch(
        static,
        "prospects",
        filter={"first_name": "Smith, Sally", "account": [1, 2]},
        sort="-created_at",
        include={"account": ["name"], "account.owner": ["email"]},
        limit=5,
    )
    tables = of.fetch_tables(static, "sequences", include="sequence_steps")

    assert frame["account__name"].isna().all()
    assert len(tables["sequences"]) == 1
    with pytest.raises(ServerError, match="did not count"):
        of.count(static, "prospects")


def test_what_is_not_there_is_a_typed_error(static):
    with pytest.raises(NotFoundError):
        static.get("/nosuch")
