from urllib.parse import quote

import pytest

from outreach_frames._sandbox import Sandbox
from tests.sandbox.small_organization import asking, error, ids, resource


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter[firstName]=Sally", [1]),
        ("filter[firstName]=Sally,Katie", [1, 2]),
        ("filter[id]=1,3", [1, 3]),
        ("filter[id]=2..3", [2, 3]),
        ("filter[id]=neginf..2", [1, 2]),
        ("filter[id]=2..inf", [2, 3]),
        ("filter[id]=neginf..inf", [1, 2, 3]),
        ("filter[createdAt]=2025-01-02T09:00:00.000Z..2025-01-03T09:00:00Z", [2, 3]),
        ("filter[createdAt]=2025-01-02..inf", [2, 3]),
        ("filter[createdAt]=2025-01-02T10:00:00%2B01:00", [2]),
        ("filter[lastName]=__null__", [3]),
        ("filter[lastName]=__notnull__", [1, 2]),
        ("filter[lastName]=__null__,Smith", [1, 2, 3]),
        ("filter[firstName]=sally", []),
        ("filter[emails]=s.smith@example.com", [1]),
        ("filter[account][id]=1", [1, 2]),
        ("filter[account][id]=1..3", [1, 2, 3]),
        ("filter[account][name]=Acme", [1, 2]),
        ("filter[account][named]=false", [3]),
        ("filter[stage][id]=__null__", [2, 3]),
        ("filter[stage][name]=__notnull__", [1]),
        ("filter[sequenceStates][state]=finished", [1]),
        ("filter[activeSequenceStates][id]=2", []),
        ("filter[opportunities][id]=1", [2]),
        ("filter[owner][id]=1,2&filter[account][id]=1&filter[id]=2..inf", [2]),
        ("filter[q]=smi", [1, 2]),
        ("filter[q]=SALLY@acme", [1]),
        ("filter[q]=mith", []),
        ("filter[id]=1&filter[id]=2", [2]),
    ],
)
def test_original_syntax(ask, query, expected):
    """Equality, any of, ranges with both ends, null and not null, along relationships; all filters hold together."""
    assert ids(ask(f"/prospects?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter[firstName][]=Sally&filter[firstName][]=Katie", [1, 2]),
        (f"filter[firstName][]={quote('Zoë, Jr.')}", [3]),
        ("filter[firstName]=Sally", [1]),
        ("filter[firstName]=Sally,Katie", []),
        ("filter[id][gte]=2", [2, 3]),
        ("filter[id][gte]=2&filter[id][lte]=2", [2]),
        ("filter[createdAt][lte]=2025-01-02T09:00:00Z", [1, 2]),
        ("filter[account][id][]=3&filter[account][id][]=1", [1, 2, 3]),
        ("filter[account][id][gte]=2", [3]),
        ("filter[lastName][]=__null__", [3]),
        ("filter[lastName]=__notnull__", [1, 2]),
    ],
)
def test_new_syntax(ask, query, expected):
    """Brackets say what is meant; commas and dots are text."""
    assert ids(ask(f"/prospects?newFilterSyntax=true&{query}")) == expected


def test_null_words_may_be_text_in_the_new_syntax(sandbox, ask):
    """Whether they keep their meaning is not documented."""
    sandbox.settings.null_words_in_new_syntax = False

    assert ids(ask("/prospects?newFilterSyntax=true&filter[lastName][]=__null__")) == []


@pytest.mark.parametrize(
    "path",
    [
        "/prospects?filter[nosuch]=1",
        "/prospects?filter[tags]=hot",
        "/prospects?filter[custom1]=x",
        "/prospects?filter[account][domain]=acme.example",
        "/prospects?filter[mailings][id]=1",
        "/prospects?filter[nosuch][id]=1",
        "/prospects?filter[account]=1",
        "/prospects?filter[account][owner][id]=1",
        "/prospects?filter[id][gte]=1",
        "/users?filter[q]=ana",
        "/tasks?filter[action]=call",
    ],
)
def test_what_cannot_be_filtered_is_an_error(ask, path):
    """Never ignored: an ignored filter would answer with every record."""
    assert error(ask(path)) == (400, "filterParameter.invalidAttribute")


@pytest.mark.parametrize(
    ("query", "id_"),
    [
        ("filter[createdAt]=yesterday", "filterParameter.invalidDatetimeFormat"),
        ("newFilterSyntax=true&filter[createdAt]=2025-01-01..2025-02-01", "filterParameter.invalidDatetimeFormat"),
        ("filter[id]=1.0", "filterParameter.invalidValue"),
        ("filter[id]=..5", "filterParameter.invalidValue"),
        ("filter[id]=1..2,3", "filterParameter.invalidValue"),
        ("filter[account][named]=perhaps", "filterParameter.invalidValue"),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_values_that_cannot_be_read(sandbox, ask, query, id_, status):
    """The status is not documented, so it is a switch."""
    sandbox.settings.invalid_value_status = status

    assert error(ask(f"/prospects?{query}")) == (status, id_)


def test_case_may_be_ignored(sandbox, ask):
    sandbox.settings.case_sensitive = False

    assert ids(ask("/prospects?filter[firstName]=sally")) == [1]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/accounts?filter[buyerIntentScore]=4..5", [2]),
        ("/accounts?filter[named]=true", [1, 2]),
        ("/accounts?filter[q]=acm", [1]),
        ("/sequences?filter[owner][email]=ana@example.com", [1]),
        ("/sequenceStates?filter[sequence][name]=Alpha", [1, 2]),
        ("/sequenceStates?filter[sequenceStep][stepType]=call", [1]),
        ("/sequenceStates?filter[tasks][dueAt]=2025-01-06..2025-01-07", [1]),
        ("/tasks?filter[state]=incomplete&filter[owner][id]=1&include=prospect", [1]),
        ("/tasks?filter[prospect][tags]=demo", [1]),
        ("/tasks?filter[prospect][byStageId]=1", [1]),
        ("/tasks?filter[prospect][byPersonaId]=2", []),
        ("/tasks?filter[prospect][createdAt]=2025-01-01..2025-01-02", [1]),
        ("/tasks?filter[sequence][tags]=spring", [1]),
        ("/mailings?filter[sequence][id]=__null__", [2]),
    ],
)
def test_relationships_filter_by_what_the_contract_allows(ask, path, expected):
    """Twenty relationships allow more than the id."""
    assert ids(ask(path)) == expected


def test_filter_of_every_attribute_of_a_relationship_still_asks_whether_it_is_filterable(ask):
    assert error(ask("/sequenceStates?filter[sequence][description]=x")) == (400, "filterParameter.invalidAttribute")


def test_filters_without_an_attribute_of_their_name():
    """The guide polls erasures by a name that no attribute has; the contract lists two for audit logs."""
    agent = {"email": "ana@example.com", "ipAddress": "192.0.2.1"}
    uuid = "f98711fe-8a03-48b9-91d3-0f7994e999cc"
    records = [
        resource("complianceRequest", 1, {"batchComplianceRequestUuid": uuid}),
        resource("complianceRequest", 2, {}),
        resource("auditLog", "a1", {"agent": agent}),
        resource("auditLog", "7", {"agent": None}),
    ]
    with Sandbox(records) as running:
        ask = asking(running)

        assert ids(ask(f"/complianceRequests?filter[batchComplianceRequest]={uuid}")) == [1]
        assert ids(ask("/auditLogs?filter[agentEmail]=ana@example.com")) == ["a1"]
        assert ids(ask("/auditLogs?filter[agentIpAddress]=192.0.2.2")) == []
        assert ids(ask("/auditLogs?filter[id]=7,a1")) == ["7", "a1"]


def test_values_of_a_surprising_type_count_as_missing():
    """A record may hold what its type does not promise; a filter then passes it by instead of failing."""
    records = [
        resource("prospect", 1, {"createdAt": "soon"}),
        resource("prospect", 2, {"createdAt": "2025-01-01 10:00"}),
        resource("prospect", "3", {"createdAt": 5}),
        resource("prospect", "f98711fe-8a03-48b9-91d3-0f7994e999cc", {}),
    ]
    with Sandbox(records) as running:
        ask = asking(running)

        assert ids(ask("/prospects?filter[createdAt]=neginf..inf")) == [2]
        assert ids(ask("/prospects?filter[id]=2..3")) == [2, "3"]
        assert ids(ask("/prospects?filter[id]=f98711fe-8a03-48b9-91d3-0f7994e999cc")) == [
            "f98711fe-8a03-48b9-91d3-0f7994e999cc"
        ]
        assert ids(ask("/prospects?sort=createdAt"))[-1] == 2


@pytest.mark.parametrize(
    "query", ["sort=name&bogus=1", "filter[name", "filter=1", "page=3", "include[owner]=1", "a%5Bb=1"]
)
def test_unknown_parameters(ask, query):
    """Refused by default, so that a misspelt parameter is not silently without effect."""
    assert error(ask(f"/accounts?{query}")) == (400, "queryParameter.unknown")


def test_unknown_parameters_may_be_ignored(sandbox, ask):
    sandbox.settings.unknown_parameters = "ignore"

    assert ids(ask("/accounts?sort=name&bogus=1")) == [1, 2]
