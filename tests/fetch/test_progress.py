"""The bar that a long walk shows, and the waits that it tells of."""

import pytest

import outreach_frames as of
from outreach_frames._fetch.pagination import Paginator


@pytest.fixture(scope="module")
def org():
    with of.sandbox(prospects=40) as client:
        yield client


def test_short_walks_show_no_bar(org, capsys):
    of.fetch(org, "prospects")
    of.fetch(org, "users", limit=1)

    assert capsys.readouterr().err == ""


def test_long_walks_show_a_bar_from_the_first_page_to_the_last(org, capsys):
    of.fetch(org, "prospects", page_size=10, refresh=True)

    shown = capsys.readouterr().err
    assert "prospects" in shown
    assert "40/40" in shown


@pytest.mark.parametrize(("wanted", "shown"), [(True, True), (False, False)])
def test_the_bar_is_shown_or_not_as_asked(org, capsys, wanted, shown):
    of.fetch(org, "users", progress=wanted, refresh=True)
    of.fetch(org, "prospects", page_size=5, progress=wanted, refresh=True)

    assert ("users" in capsys.readouterr().err) == shown


def test_a_wait_for_the_budget_is_shown_with_the_time_left(org, capsys):
    with Paginator(org, "mailings", lambda _: None):
        org.session.waiter.clock, clock = iter([0.0, 0.0, 61.5, 125.0]).__next__, org.session.waiter.clock
        org.session.waiter.sleep, sleep = lambda _: None, org.session.waiter.sleep
        try:
            org.session.waiter.wait(123)
        finally:
            org.session.waiter.clock, org.session.waiter.sleep = clock, sleep

    shown = capsys.readouterr().err
    assert "asking again in 0:02:03" in shown
    assert "asking again in 0:01:02" in shown
