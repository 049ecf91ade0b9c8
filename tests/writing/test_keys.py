"""Keys have one form, in which they are looked up, compared, noted and sent."""

import pandas as pd
import pytest
from hypothesis import given, strategies as st

import outreach_frames as of
from outreach_frames import _write_rows, catalog

BLANKS = [" ", "\t", "\u00a0", "\u202f", "\u3000", "\r\n", "\u200b", "\ufeff"]


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_a_blank_beside_an_address_makes_no_other_person(org, sent, blank):
    """Files that people export are full of them."""
    org.update("prospects", 1, emails=["ann@acme.example"])
    del sent[:]
    rows = pd.DataFrame({"emails": [[f"{blank}Ann@acme.example{blank}"]], "title": ["CEO"]})

    result = of.write_frame(org, "prospects", rows, mode="upsert", key="emails", confirm=True)
    created = of.write_frame(org, "prospects", rows, key="emails", confirm=True)

    assert result[["status", "id"]].to_numpy().tolist() == [["updated", "1"]]
    assert created["status"].tolist() == ["refused"]
    assert [request.method for request in sent] == ["PATCH"]


def test_an_address_is_sent_without_blanks(org, sent):
    rows = pd.DataFrame({"emails": [["new@acme.example\u00a0"], ["NEW@acme.example"]]})

    planned = of.write_frame(org, "prospects", rows, key="emails")
    of.write_frame(org, "prospects", rows.head(1), confirm=True)
    org.create("users", email=" user@acme.example")

    assert planned["reason"].tolist() == ["another row has the same key"] * 2
    assert [request.body["data"]["attributes"] for request in sent] == [
        {"emails": ["new@acme.example"]},
        {"email": "user@acme.example"},
    ]


def test_an_address_of_blanks_alone_is_no_key(org):
    rows = pd.DataFrame({"emails": [[" "]], "title": ["x"]})

    assert of.write_frame(org, "prospects", rows, key="emails")["reason"].tolist() == ["the key is missing"]


def test_rows_that_differ_in_blanks_alone_are_one_row_of_the_journal(org, sent, tmp_path):
    """The file was cleaned up between the two runs."""
    for address in ("new@acme.example ", "new@acme.example"):
        rows = pd.DataFrame({"emails": [[address]]})
        result = of.write_frame(org, "prospects", rows, confirm=True, journal=tmp_path / "journal")
        assert result["status"].tolist() == ["created"]
    assert len(sent) == 1


def test_whole_numbers_are_one_key_whatever_pandas_made_of_them(org):
    org.update("accounts", 1, number_of_employees=987_654)
    rows = pd.DataFrame({"number_of_employees": [987_654.0, None], "name": ["X", "Y"]})

    result = of.write_frame(org, "accounts", rows, mode="upsert", key="number_of_employees")

    assert result["status"].tolist() == ["would update", "refused"]


def test_a_deletion_request_names_the_address_without_blanks(org, sent):
    """With a blank behind it nobody is found, and nobody erased."""
    of.compliance.request_deletion(org, "ann@acme.example\u00a0", requester="user1@example.com ")

    attributes = sent[0].body["data"]["attributes"]
    assert attributes["request_object_email"] == "ann@acme.example"
    assert attributes["requester_email"] == "user1@example.com"


@given(st.text(max_size=12), st.sampled_from(BLANKS), st.sampled_from([str, str.upper, str.lower]))
def test_a_key_has_one_form(local, blank, spell):
    emails = catalog.load().resource("prospects").attribute("emails")
    address = f"x{local}x@acme.example"
    plain, other = (_write_rows._sent_key(emails, [each]) for each in (address, f"{blank}{address}{blank}"))

    assert plain == other == [address]
    if spell(address).casefold() == address.casefold():
        assert _write_rows._comparable_keys(emails, [spell(address)]) == _write_rows._comparable_keys(emails, other)
