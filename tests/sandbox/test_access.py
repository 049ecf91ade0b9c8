import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
import requests

from outreach_frames._sandbox import Sandbox
from tests.sandbox.small_organization import MEDIA_TYPE, asking, error, ids


def test_token_is_asked_for(sandbox):
    """Missing, wrong and of another scheme: all refused before anything else is looked at."""
    for authorization in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {sandbox.token}"}):
        answer = requests.get(f"{sandbox.base_url}/nosuch", headers=authorization, timeout=5)

        assert error(answer) == (401, "unauthorized")
        assert "x-ratelimit-limit" not in answer.headers


def test_gateway_refuses_in_its_own_form(sandbox):
    """Seen in the wild: a 401 that is JSON but no JSON:API document."""
    sandbox.settings.unauthorized = "gateway"

    answer = requests.get(f"{sandbox.base_url}/prospects", timeout=5)

    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json")
    assert set(answer.json()) == {"error", "description"}


def test_tokens_end(sandbox):
    """By time or by revocation; other tokens are not touched."""
    revoked, expired, good = sandbox.issue_token(), sandbox.issue_token(lifetime=0), sandbox.issue_token(lifetime=60)
    sandbox.revoke_token(revoked)

    assert [asking(sandbox, token=each)("/users").status_code for each in (revoked, expired, good)] == [401, 401, 200]


def test_scopes_are_not_additive(sandbox):
    """``write`` does not include ``read``; ``all`` does."""
    token = sandbox.issue_token(scopes=["accounts.all", "prospects.read", "users.write"])
    ask = asking(sandbox, token=token)

    assert ids(ask("/accounts")) == [1, 2]
    assert ids(ask("/prospects?include=account")) == [1, 2, 3]
    assert ask("/users").json()["errors"] == [
        {
            "id": "unauthorizedOauthScope",
            "title": "Unauthorized OAuth Scope",
            "detail": "Your authorization does not include the required scope 'users.read'.",
        }
    ]


def test_including_needs_the_scopes_of_what_is_included(sandbox):
    """Every type that an include path could bring must be readable."""
    ask = asking(sandbox, token=sandbox.issue_token(scopes=["prospects.read"]))

    answer = ask("/prospects?include=account.owner")

    assert error(answer) == (403, "unauthorizedOauthScope")
    assert "'accounts.read', 'users.read'" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("sent", [None, "application/json", "text/plain"])
def test_media_type_is_asked_for_on_reads_unless_switched_off(sandbox, ask, sent):
    """The vendor documents it for every request; live strictness is in doubt."""
    answer = ask("/accounts", headers={"Content-Type": sent})
    assert error(answer) == (415, "unsupportedMediaType")
    assert MEDIA_TYPE in answer.json()["errors"][0]["detail"]

    sandbox.settings.strict_media_type = False
    assert ask("/accounts", headers={"Content-Type": sent}).status_code == 200


def test_bodies_need_the_media_type_always(sandbox, ask):
    sandbox.settings.strict_media_type = False

    assert error(ask("/accounts", method="POST", data="{}", headers={"Content-Type": "application/json"})) == (
        415,
        "unsupportedMediaType",
    )


def test_methods_the_api_does_not_take(ask):
    """Users cannot be deleted; ``PUT`` is nowhere."""
    answer = ask("/users/1", method="DELETE")
    assert error(answer) == (405, "methodNotAllowed")
    assert answer.headers["allow"] == "GET, PATCH"
    assert error(ask("/accounts/1", method="PUT")) == (405, "methodNotAllowed")
    assert error(ask("/types", method="POST", data="{}")) == (405, "methodNotAllowed")


@pytest.mark.parametrize("path", ["/nosuch", "/prospects/1/tasks", "/prospects/1/relationships/account", "/prospects/"])
def test_paths_the_api_does_not_have(ask, path):
    """There are no nested collections and no relationship endpoints."""
    assert error(ask(path)) == (404, "routeNotFound")


def test_outside_the_api_there_is_nothing(sandbox, ask):
    assert error(ask(sandbox.base_url.replace("/api/v2", "/elsewhere"))) == (404, "routeNotFound")


def test_root_tells_who_asks(sandbox):
    """Its true form is unknown; a reader can only rely on getting an answer."""
    ask = asking(sandbox, token=sandbox.issue_token(user=2, scopes=["users.read"]))

    meta = ask("").json()["meta"]
    assert meta["user"] == {"type": "user", "id": 2}
    assert meta["org"] == {"type": "org", "id": 1}


# The budget


def budget(answer):
    """Return the three headers of an answer, as sent."""
    return [answer.headers.get(f"X-RateLimit-{name}") for name in ("Limit", "Remaining", "Reset")]


def test_every_answer_tells_what_is_left(ask):
    """Ten thousand an hour by default; answers that are errors count too."""
    first, second = ask("/users"), ask("/users/99")

    limit, remaining, reset = budget(first)
    assert (limit, remaining) == ("10000", "9999")
    assert budget(second)[:2] == ["10000", "9998"]
    assert 3590 < int(reset) - datetime.now(UTC).timestamp() <= 3601


def test_spent_budget(sandbox, ask):
    """429 with the time to come back, for this user alone, until the window is over."""
    sandbox.settings.rate_limit = 2

    assert [ask("/users").status_code for _ in range(3)] == [200, 200, 429]
    refused = ask("/users")
    assert error(refused) == (429, "rateLimitExceeded")
    assert "permitted rate limit of 2; please try again at" in refused.json()["errors"][0]["detail"]
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert 3590 < int(refused.headers["Retry-After"]) <= 3600
    assert asking(sandbox, token=sandbox.issue_token(user=2))("/users").status_code == 200

    sandbox.settings.rate_window_s = 0
    assert ask("/users").status_code == 200


@pytest.mark.parametrize(
    ("form", "remaining", "reset"),
    [
        ("epoch", r"9999", r"1\d{9}"),
        ("delta", r"9999", r"3600"),
        ("iso", r"9999", r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        ("pair", r"9999, 19998", r"1\d{9}"),
    ],
)
def test_forms_of_the_headers(sandbox, ask, form, remaining, reset):
    """Sources disagree, so a client must read them all."""
    sandbox.settings.rate_headers = form

    _, sent_remaining, sent_reset = budget(ask("/users"))

    assert re.fullmatch(remaining, sent_remaining)
    assert re.fullmatch(reset, sent_reset)


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("delta", r"\d{4}"),
        ("epoch", r"1\d{9}"),
        ("iso", r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        ("http-date", r"\w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT"),
    ],
)
def test_forms_of_retry_after(sandbox, ask, form, pattern):
    sandbox.settings.rate_limit, sandbox.settings.retry_after = 0, form

    assert re.fullmatch(pattern, ask("/users").headers["Retry-After"])


def test_headers_may_be_absent(sandbox, ask):
    """Seen on a live 429."""
    sandbox.settings.rate_limit = 0
    sandbox.settings.rate_headers = sandbox.settings.retry_after = "absent"

    answer = ask("/users")

    assert (answer.status_code, budget(answer)) == (429, [None, None, None])
    assert "Retry-After" not in answer.headers


# The log and the clock


def test_log_tells_what_was_asked(sandbox, ask):
    """Refused requests too; never the token."""
    ask("/prospects?filter[firstName]=Sally&count=true")
    requests.get(f"{sandbox.base_url}/users", headers={"Authorization": "Bearer wrong"}, timeout=5)
    requests.get(sandbox.base_url.replace("/api/v2", "/oauth/token"), timeout=5)

    first, second, third = sandbox.requests

    assert (first.method, first.path, first.status) == ("GET", "/api/v2/prospects", 200)
    assert first.query == "filter[firstName]=Sally&count=true"
    assert first.parameters == (("filter[firstName]", "Sally"), ("count", "true"))
    assert first.headers["content-type"] == MEDIA_TYPE
    assert (second.status, third.status) == (401, 405)
    assert sandbox.data_requests == 2
    assert sandbox.token not in repr(sandbox.requests)
    assert "wrong" not in repr(sandbox.requests)

    sandbox.clear_log()
    assert sandbox.requests == ()


def test_sandbox_has_its_own_time():
    """``Date`` and the log follow the sandbox's clock, which runs."""
    as_of = datetime(2026, 3, 31, tzinfo=UTC)
    with Sandbox([], as_of=as_of) as running:
        answer = asking(running)("/users")

        assert 0 <= (parsedate_to_datetime(answer.headers["Date"]) - as_of).total_seconds() < 60
        assert as_of < running.requests[0].at < running.now()


def test_given_resources_live_in_the_present(sandbox, ask):
    sent = parsedate_to_datetime(ask("/users").headers["Date"])

    assert abs((sent - datetime.now(UTC)).total_seconds()) < 60
    assert sandbox.now().tzinfo is UTC
