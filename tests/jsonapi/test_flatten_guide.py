"""Every example document of the vendor's guide, as a reader of that page would expect it in a frame."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from outreach_frames._jsonapi import read_jsonapi, to_frame
from tests.jsonapi.flat_documents import layout, only, records

NEW_YEAR = datetime(2017, 1, 1, tzinfo=UTC)
SALLY = {
    "id": 1,
    "created_at": NEW_YEAR,
    "emails": ["sally.smith@acme.example.com"],
    "first_name": "Sally",
    "last_name": "Smith",
    "title": "CEO",
}
REQUESTED_SNIPPET = {
    "body_html": "<p>Would you please include in your response ...</p>",
    "name": "Request for Information",
}

EXPECTED: list[dict[str, Any]] = [
    {"id": None, "name": "Acme"},
    {"id": 1, "created_at": NEW_YEAR, "name": "Acme", "updated_at": NEW_YEAR},
    {
        "id": None,
        "emails": ["sally.smith@acme.example.com"],
        "first_name": "Sally",
        "title": "CEO",
        "account_id": 1,
    },
    {**SALLY, "updated_at": NEW_YEAR, "account_id": 1},
    {"id": 1, "last_name": "Smith", "owner_id": 1},
    {**SALLY, "updated_at": NEW_YEAR.replace(hour=1), "account_id": 1, "owner_id": 1},
    {"id": None, "description": "Primary Sales Sequence", "name": "Primary", "sequence_type": "interval"},
    {"id": None, "interval": 120, "step_type": "call", "sequence_id": 1},
    {
        "id": 1,
        "auto_resume_ooto_prospects": True,
        "name": "Custom Ruleset",
        "permit_duplicate_prospects": "onlyIfActive",
    },
    {"id": 1, "ruleset_id": 1},
    {"id": None, **REQUESTED_SNIPPET},
    {"id": 1, **REQUESTED_SNIPPET, "owner_id": 1},
    {
        "id": 1,
        "body_html": "<p>I'd like to introduce you to our new product...",
        "cc_recipients": ["product@company.example.com"],
        "name": "Product Announcement",
        "owner_id": 1,
    },
    {"id": None, "interval": 2880, "step_type": "auto_email", "sequence_id": 1},
    {"id": None, "sequence_step_id": 1, "template_id": 1},
    {"id": None, "body_html": "<h1>Greetings!</h1>", "subject": "Hello prospect"},
    {"id": None, "prospect_id": 1, "sequence_id": 1, "mailbox_id": 1},
    {
        "id": 1,
        "created_at": NEW_YEAR,
        "state": "active",
        "state_changed_at": NEW_YEAR,
        "updated_at": NEW_YEAR,
        "prospect_id": 1,
        "sequence_id": 1,
        "sequence_step_id": 1,
        "mailbox_id": 1,
    },
    {
        "id": None,
        "answered_at": datetime(2017, 1, 1, 12, 0, 15, tzinfo=UTC),
        "completed_at": datetime(2017, 1, 1, 12, tzinfo=UTC),
        "direction": "outbound",
        "outcome": "completed",
        "prospect_id": 1,
        "user_id": 1,
    },
    {"id": None, "direction": "outbound", "outcome": "no_answer", "prospect_id": 1, "task_id": 1, "user_id": 1},
    {
        "id": None,
        "direction": "outbound",
        "note": "Meeting Booked!",
        "outcome": "completed",
        "prospect_id": 1,
        "task_id": 1,
        "user_id": 1,
    },
    {"id": 1, "created_at": NEW_YEAR, "name": "prospect_updated", "updated_at": NEW_YEAR},
    {"id": 1, "click_count": 2, "open_count": 9, "reply_count": 1},
    {"id": None, "email": "foo@bar.com", "first_name": "Foo", "last_name": "Bar"},
    {"id": 1, "email": "foo@bar.com", "first_name": "Foo", "last_name": "Bar"},
    {
        "id": None,
        "email": "foo@bar.com",
        "first_name": "Foo",
        "last_name": "Bar",
        "meta": '{"sendInvite":false}',
    },
    {
        "id": None,
        "requester_email": "admin@example.com",
        "request_type": "Delete",
        "object_type": "Prospect",
        "request_object_email": "prospect_email@example.com",
    },
    {"batch_compliance_request_id": "f98711fe-8a03-48b9-91d3-0f7994e999cc"},
]
"""In the order of the page. Requests to create have no id yet; relationships that are links have no column."""


@pytest.fixture(scope="module")
def examples(guide_path: Path) -> list[dict[str, Any]]:
    """Return the page's documents, without its requests."""
    return [block for block in json.loads(guide_path.read_text()) if isinstance(block, dict)]


def test_the_page_has_as_many_documents_as_are_expected_here(examples):
    """A document that the vendor adds must not go unread."""
    assert len(examples) == len(EXPECTED)


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_a_document_of_the_guide_reads_as_its_page_says(examples, number):
    """Every example becomes one row: its columns, their order and their values."""
    frame = read_jsonapi(examples[number])

    assert records(frame) == [EXPECTED[number]]
    assert list(frame) == list(EXPECTED[number])


@pytest.mark.parametrize("number", [n for n, expected in enumerate(EXPECTED) if expected.get("id")])
def test_a_page_of_the_guide_fills_the_columns_of_its_resource_type(examples, number):
    """
    Fetching gives the same values among all the columns that the catalog has.

    The layout is open because the page's event has an ``updatedAt`` that the vendor's contract does not have.
    """
    data = examples[number]["data"]
    asked = layout(data[0]["type"] if isinstance(data, list) else data["type"], open=True)

    frame = to_frame([asked.page(json.dumps(examples[number]).encode()).batch], asked.schema)

    assert only(frame) == EXPECTED[number]
    assert len(frame.columns) > len(EXPECTED[number])
