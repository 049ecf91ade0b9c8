"""Every form in which clients have met the API's times and budgets."""

from datetime import UTC, datetime

import pytest
from requests.structures import CaseInsensitiveDict

from outreach_frames._http.messages import Budget, read_date
from outreach_frames._http.rate_limit import read_budget, read_instant, read_resumption

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("30", NOW + 30),
        ("0", NOW),
        ("-5", NOW),
        ("2.5", NOW + 2.5),
        ("1800000060", NOW + 60),
        ("1800000060000", NOW + 60),
        ("30, 3600", NOW + 30),
        ("2027-01-15T08:01:00Z", NOW + 60),
        ("2027-01-15T08:01:00.000Z", NOW + 60),
        ("2027-01-15T08:01:00", NOW + 60),
        ("2027-01-15T10:01:00+02:00", NOW + 60),
        ("Fri, 15 Jan 2027 08:01:00 GMT", NOW + 60),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_an_instant_is_read_in_every_form(text, instant) -> None:
    """Large numbers are instants, small ones seconds to go; times without a zone are UTC."""
    assert read_instant(text, NOW) == instant


def test_the_first_of_two_numbers_is_the_users_own_budget() -> None:
    """tap-outreach 1.1.2 met two values in one header; the second is undocumented."""
    headers = CaseInsensitiveDict(
        {
            "x-ratelimit-limit": "10000, 20000",
            "x-ratelimit-remaining": "9999, 19988",
            "x-ratelimit-reset": "1800000060, 1800003600",
        }
    )

    assert read_budget(headers, NOW) == Budget(10_000, 9_999, NOW + 60)


def test_headers_may_be_absent_or_senseless() -> None:
    """A 429 without headers crashed mage-ai."""
    assert read_budget(CaseInsensitiveDict(), NOW) == Budget()
    assert read_budget(CaseInsensitiveDict({"X-RateLimit-Remaining": "many"}), NOW) == Budget()


def test_retry_after_comes_before_reset() -> None:
    """Documented as an alias; where both are sent, it is about this very answer."""
    both = CaseInsensitiveDict({"Retry-After": "5", "X-RateLimit-Reset": "60"})
    only_reset = CaseInsensitiveDict({"X-RateLimit-Reset": "60"})

    assert read_resumption(both, NOW) == NOW + 5
    assert read_resumption(only_reset, NOW) == NOW + 60
    assert read_resumption(CaseInsensitiveDict(), NOW) is None


@pytest.mark.parametrize("text", [None, "", "yesterday"])
def test_a_missing_date_is_none(text) -> None:
    """Proxies drop the header."""
    assert read_date(text) is None


def test_a_date_is_aware() -> None:
    """Naive times would be taken for local ones."""
    assert read_date("Tue, 31 Mar 2026 00:00:00 GMT") == datetime(2026, 3, 31, tzinfo=UTC)
