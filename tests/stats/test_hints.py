"""What the message about a missing column tells to do can be done."""

import re

import pytest

import outreach_frames as of
from outreach_frames import stats
from outreach_frames.catalog import load
from outreach_frames.errors import MissingColumnError, UnknownNameError
from tests.frames import example
from tests.stats.statistics_of_mail import STATISTICS

FETCH = re.compile(r'fetch\(org, "(\w+)", fields=\[\.\.\., "(\w+)"\]\)')


def without(columns):
    """Return an engine that drops some columns from every frame that has them, and the rows, which do not matter."""
    return lambda frame: frame.head(0).drop(columns=[name for name in columns if name in frame.columns])


def columns_of(statistic):
    """List the columns of all the frames that a statistic is given."""
    seen = set()

    def looking(frame):
        seen.update(frame.columns)
        return frame

    STATISTICS[statistic](looking)
    return sorted(seen)


def is_known(resource, field):
    kind = load().resource(resource)
    try:
        kind.attribute(field)
    except UnknownNameError:
        try:
            kind.relationship(field)
        except UnknownNameError:
            return False
    return True


def refusal(statistic, column):
    """Return what a statistic says where a column is missing; nothing where it does without."""
    try:
        STATISTICS[statistic](without([column]))
    except MissingColumnError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "statistic", ["sequence_engagement", "rep_activity", "deliverability", "meetings", "first_opens"]
)
def test_a_field_to_request_is_one_of_the_api(statistic):
    """Whoever follows the hint must not meet UnknownNameError next."""
    said = {column: refusal(statistic, column) for column in columns_of(statistic) if column != "id"}
    fields = [FETCH.search(text) for text in said.values() if text]

    assert len(fields) > 5
    assert all(fields)
    assert [field.groups() for field in fields if not is_known(*field.groups())] == []


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("sequence__name", 'Hint: Include it: fetch(org, "mailings", include={"sequence": ["name"]}).'),
        ("user__email", 'include={"user": ["email"]}'),
        ("prospect", 'Hint: Did you mean "prospect_id"?'),
        ("sequnce_id", 'Hint: Did you mean "sequence_id"? If Outreach has it'),
    ],
)
def test_a_key_that_is_not_there_is_explained_by_its_name(key, hint):
    """Two underscores are a column of an included record; a relationship's column ends in _id."""
    with pytest.raises(MissingColumnError) as caught:
        stats.engagement(example("mailings"), by=key)

    assert hint in str(caught.value)


def test_the_included_column_of_the_hint_can_be_fetched():
    org = of.sandbox(prospects=5, seed=1)

    mail = of.fetch(org, "mailings", include={"sequence": ["name"]})

    assert "sequence__name" in stats.engagement(mail, by="sequence__name")


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: stats.reply_within(example("mailings")), "Pass a result of time_to_event(mailings)."),
        (
            lambda: stats.kaplan_meier(stats.time_to_event(example("mailings")), by="sequence_id"),
            'Carry it along: time_to_event(mailings, by="sequence_id").',
        ),
        (lambda: stats.leaderboard(example("mailings"), by="week"), "engagement(mailings, by=...) makes it."),
        (lambda: stats.failures(example("mailings"), by="is_replied"), "mailing_flags(mailings) makes it."),
        (
            lambda: stats.send_time_heatmap(example("mailings"), users=example("prospects")[["id"]], clock="user"),
            "Outreach gives users none: add it",
        ),
        (lambda: stats.engagement(example("mailings"), by="team_id"), "If Outreach has it, request it, else add it."),
        (lambda: stats.engagement(example("mailings").drop(columns="id")), "Keep it: every frame of fetch() has one."),
    ],
)
def test_what_no_request_brings_is_not_requested(call, hint):
    """A column that another statistic makes, or that the caller adds, is no attribute of the API."""
    with pytest.raises(MissingColumnError) as caught:
        call()

    assert hint in str(caught.value)
    if "If Outreach" not in hint:
        assert not FETCH.search(str(caught.value))
