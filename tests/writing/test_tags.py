"""Tags are added and removed beside those that others set."""

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames import patterns
from outreach_frames.errors import QueryError, UnknownNameError
from tests.writing.test_conflicts import colleague  # noqa: F401  a fixture


def tags_of(org, *numbers):
    frame = of.fetch(org, "prospects", fields=["tags"], filter={"id": list(numbers)}, refresh=True)
    return [list(tags) if isinstance(tags, list) or hasattr(tags, "__len__") else [] for tags in frame["tags"]]


@pytest.fixture
def tagged(org, sent):
    for number, tags in {1: ["a"], 2: ["a", "b"], 3: []}.items():
        org.update("prospects", number, tags=tags)
    del sent[:]
    return org


def test_tags_are_added_to_those_that_are_there(tagged, sent):
    planned = patterns.add_tags(tagged, "prospects", [1, 2, 3], ["b", "c"])
    assert sent == []
    done = patterns.add_tags(tagged, "prospects", [1, 2, 3], ["b", "c"], confirm=True)

    assert planned["status"].tolist() == ["would update"] * 3
    assert planned["changes"].tolist() == ["tags: a → a, b, c", "tags: a, b → a, b, c", "tags: <NA> → b, c"]
    assert done["status"].tolist() == ["updated"] * 3
    assert done.attrs["outreach_frames"]["counts"] == {"updated": 3}
    assert tags_of(tagged, 1, 2, 3) == [["a", "b", "c"], ["a", "b", "c"], ["b", "c"]]


def test_only_records_that_change_are_written(tagged, sent):
    result = patterns.add_tags(tagged, "prospects", [1, 2, 3], "b", confirm=True)

    assert result["status"].tolist() == ["updated", "unchanged", "updated"]
    assert len(sent) == 2
    again = patterns.add_tags(tagged, "prospects", [1, 2, 3], "b", confirm=True)
    assert again["status"].tolist() == ["unchanged"] * 3
    assert len(sent) == 2


def test_tags_are_removed_and_all_others_stay(tagged):
    result = patterns.remove_tags(tagged, "prospects", [1, 2, 3], "a", confirm=True)

    assert result["status"].tolist() == ["updated", "updated", "unchanged"]
    assert tags_of(tagged, 1, 2, 3) == [[], ["b"], []]


@pytest.mark.parametrize("moment", ["after the first reading", "while the batch is written"])
def test_a_colleagues_tag_survives_whenever_it_comes(tagged, colleague, monkeypatch, moment):  # noqa: F811
    """Between the reading and the comparison; and while earlier records are written."""
    fetch, update, done = of.bulk.Comparison.records, tagged.update, []

    def tag():
        if not done:
            done.append(colleague.update("prospects", 40, tags=["theirs"]))

    def reading(self, rows, **options):
        tag()
        return fetch(self, rows, **options)

    def updating(*args, **values):
        tag()
        return update(*args, **values)

    if moment == "after the first reading":
        monkeypatch.setattr(of.bulk.Comparison, "records", reading)
    else:
        monkeypatch.setattr(tagged, "update", updating)
    result = patterns.add_tags(tagged, "prospects", range(1, 41), "mine", confirm=True, progress=False)

    assert done
    assert result["status"].tolist() == ["updated"] * 40
    assert tags_of(tagged, 40) == [["theirs", "mine"]]


def test_a_frame_keeps_its_index_and_each_record_has_one_row(tagged):
    frame = pd.DataFrame({"id": [1, 2, 1]}, index=["x", "y", "z"])

    assert patterns.add_tags(tagged, "prospects", frame, "b")["status"].to_dict() == {
        "x": "would update",
        "y": "unchanged",
    }
    assert patterns.add_tags(tagged, "prospects", frame["id"], "b").index.tolist() == ["x", "y"]
    assert len(patterns.add_tags(tagged, "prospects", 1, "b")) == 1
    assert len(patterns.add_tags(tagged, "prospects", [], "b")) == 0


@pytest.mark.parametrize("function", [patterns.add_tags, patterns.remove_tags])
def test_a_record_that_is_not_there_is_refused(tagged, function):
    result = function(tagged, "prospects", [99_999, 1], "a", confirm=True)

    assert result["status"].iloc[0] == "refused"
    assert result["reason"].iloc[0] == "there is no such record"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("prospects", [1], []), QueryError),
        (("prospects", [1], ["a", " "]), QueryError),
        (("prospects", [1], [5]), QueryError),
        (("prospects", [None], "a"), QueryError),
        (("prospects", pd.DataFrame({"prospect": [1]}), "a"), QueryError),
        (("mailboxes", [1], "a"), UnknownNameError),
        (("calls", [1], "a"), QueryError),
    ],
)
def test_what_cannot_work_is_refused_at_once(org, sent, arguments, error):
    org.sandbox.clear_log()
    with pytest.raises(error):
        patterns.add_tags(org, *arguments, confirm=True)
    assert not [*org.sandbox.requests, *sent]


def test_two_hundred_records_take_no_request_each_to_be_read(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with of.sandbox(prospects=200, seed=3) as org:
        org.sandbox.clear_log()
        result = patterns.add_tags(org, "prospects", of.fetch_prospects(org), "Q3", confirm=True, progress=False)
        reads = [each for each in org.sandbox.requests if each.method == "GET"]

    assert result["status"].tolist() == ["updated"] * 200
    assert len(reads) == 1 + 1 + 1 + 8  # the prospects, their tags, the organization, eight batches
