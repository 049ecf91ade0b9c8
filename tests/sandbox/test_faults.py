"""The faults themselves, seen by a program that knows nothing of retries: each is what it says, and only as often."""

import gzip
import json
from datetime import datetime
from email.utils import parsedate_to_datetime

import pytest
import requests

import outreach_frames as of
from outreach_frames._sandbox import Sandbox, SandboxSettings
from tests.sandbox.small_organization import MEDIA_TYPE, error, ids

PROSPECTS = [1, 2, 3]


@pytest.fixture(autouse=True)
def without_faults(running: Sandbox):
    """Leave the shared sandbox as it was."""
    yield
    running.faults.clear()


def test_a_fault_happens_after_so_many_requests_and_so_many_times(sandbox, ask):
    """The route, the method and the count are the script."""
    fault = sandbox.faults.add(path="/prospects", after=1, times=2, status=502)

    assert [ask("/prospects").status_code for _ in range(4)] == [200, 502, 502, 200]
    assert ask("/accounts").status_code == 200
    assert fault.used == 2


def test_a_fault_without_a_count_stays_until_it_is_cleared(sandbox, ask):
    sandbox.faults.add(path="/prospects/*", times=None, status=500)

    assert [ask("/prospects/1").status_code, ask("/prospects/2").status_code] == [500, 500]
    assert ask("/prospects").status_code == 200
    sandbox.faults.clear()
    assert ask("/prospects/1").status_code == 200


def test_a_request_meets_the_first_fault_that_is_due(sandbox, ask):
    """The others wait for the next one."""
    sandbox.faults.add(status=500)
    sandbox.faults.add(status=502)

    assert [ask("/users").status_code for _ in range(3)] == [500, 502, 200]


def test_unknown_attributes_are_refused(sandbox):
    with pytest.raises(TypeError, match="stauts"):
        sandbox.faults.add(stauts=502)


def test_only_pages_that_are_too_large_fail(sandbox, ask):
    """A proxy's limit: without a size a page has 50 rows."""
    sandbox.faults.add(path="/prospects", page_size_above=10, times=None, status=502)

    statuses = [ask(f"/prospects{query}").status_code for query in ("", "?page[size]=10", "?page[size]=11")]

    assert statuses == [502, 200, 502]


@pytest.mark.parametrize(
    ("status", "id_"),
    [(401, "unauthorized"), (404, "fault404"), (429, "rateLimitExceeded"), (503, "scheduledServerMaintenance")],
)
def test_a_status_comes_with_what_the_vendor_says_with_it(sandbox, ask, status, id_):
    sandbox.faults.add(status=status)

    assert error(ask("/users")) == (status, id_)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_failing_server_speaks_as_its_proxy(sandbox, ask, status):
    sandbox.faults.add(status=status)

    answer = ask("/users")

    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html")


def test_maintenance_says_when_it_ends_as_an_iso_time(sandbox, ask):
    """The documented form of ``Retry-After`` on a 503."""
    sandbox.faults.add(status=503, wait_s=90.0)
    before = sandbox.seconds()

    until = datetime.fromisoformat(ask("/users").headers["retry-after"])

    assert 90.0 <= until.timestamp() - before <= 92.0


@pytest.mark.parametrize("form", ["delta", "epoch", "iso", "http-date"])
def test_a_429_says_when_to_come_back_in_every_form(sandbox, ask, form):
    sandbox.faults.add(status=429, retry_after=form, rate_headers="pair", wait_s=30.0)
    now = sandbox.seconds()

    headers = ask("/users").headers

    read = {
        "delta": lambda text: now + float(text),
        "epoch": float,
        "iso": lambda text: datetime.fromisoformat(text).timestamp(),
        "http-date": lambda text: parsedate_to_datetime(text).timestamp(),
    }[form]
    assert 29.0 <= read(headers["retry-after"]) - now <= 32.0
    assert headers["x-ratelimit-remaining"] == "0, 0"


def test_a_429_can_say_nothing(sandbox, ask):
    """Seen in the wild."""
    sandbox.faults.add(status=429, retry_after="absent", rate_headers="absent")

    assert not {"retry-after", "x-ratelimit-reset", "x-ratelimit-remaining"} & set(ask("/users").headers)


@pytest.mark.parametrize("delivery", ["cut", "cut in a chunk"])
def test_half_an_answer_is_noticed_by_its_length(sandbox, ask, delivery):
    sandbox.faults.add(delivery=delivery)

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask("/prospects")
    assert ids(ask("/prospects")) == PROSPECTS


def test_a_short_answer_is_noticed_by_nobody_but_its_reader(sandbox, ask):
    sandbox.faults.add(delivery="short")

    answer = ask("/prospects")

    assert int(answer.headers["content-length"]) == len(answer.content)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize("delivery", ["stalled", "silent"])
def test_an_answer_that_stops_is_waited_for_in_vain(sandbox, ask, delivery):
    sandbox.faults.add(delivery=delivery)

    with pytest.raises((requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError), match="timed out"):
        ask("/prospects", timeout=0.1)


def test_a_dropped_connection_gives_no_byte_and_is_in_the_log(sandbox, ask):
    """The log is what tests trust, so it holds what was never answered too."""
    sandbox.faults.add(delivery="dropped")

    with pytest.raises(requests.exceptions.ConnectionError, match="without response"):
        ask("/prospects")

    assert [(record.path, record.status) for record in sandbox.requests] == [("/api/v2/prospects", 0)]


@pytest.mark.parametrize(
    ("fault", "made"),
    [
        ({"status": 500}, False),
        ({"status": 500, "executed": True}, True),
        ({"delivery": "dropped"}, False),
        ({"delivery": "dropped", "executed": True}, True),
        ({"delivery": "cut"}, True),
        ({"delivery": "cut in a chunk"}, True),
    ],
)
def test_a_write_is_carried_out_or_not_as_scripted(fault, made):
    """Whoever sent it cannot tell, which is what tests are about."""
    body = json.dumps({"data": {"type": "account", "attributes": {"name": "New"}}})
    with Sandbox([]) as sandbox:
        sandbox.faults.add(**fault)
        headers = {"Authorization": f"Bearer {sandbox.token}", "Content-Type": MEDIA_TYPE}

        try:
            status = requests.post(f"{sandbox.base_url}/accounts", body, headers=headers, timeout=5).status_code
        except requests.exceptions.ConnectionError:
            status = 0
        except requests.exceptions.ChunkedEncodingError:
            status = 201

        assert status == fault.get("status", {"dropped": 0}.get(fault.get("delivery"), 201))
        assert len(list(sandbox.store.records("account"))) == made
        assert sandbox.failures == ()


def test_a_token_can_end_in_the_middle(sandbox, ask):
    """The request that meets the fault is the first to be refused."""
    token = sandbox.issue_token()
    sandbox.faults.add(after=1, revokes_token=True)

    statuses = [ask("/users", headers={"Authorization": f"Bearer {token}"}).status_code for _ in range(3)]

    assert statuses == [200, 401, 401]
    assert ask("/users").status_code == 200


def test_an_answer_can_be_compressed_relabeled_and_rewritten(sandbox, ask):
    sandbox.faults.add(gzip=True, content_type="text/html", headers={"x-more": "1"}, rewrite=lambda body: body + b" ")

    answer = ask("/prospects", stream=True)

    assert (answer.headers["content-encoding"], answer.headers["content-type"]) == ("gzip", "text/html")
    assert answer.headers["x-more"] == "1"
    assert gzip.decompress(answer.raw.read(decode_content=False)).endswith(b"} ")


def test_something_can_happen_in_the_organization_meanwhile(sandbox, ask):
    """A page that changes while it is being walked."""
    late = {"type": "prospect", "id": 4, "attributes": {"firstName": "Late"}}
    sandbox.faults.add(path="/prospects", after=1, on_request=lambda: sandbox.put(late))

    before, after = ids(ask("/prospects")), ids(ask("/prospects"))
    sandbox.remove("prospect", 4)

    assert (before, after) == (PROSPECTS, [*PROSPECTS, 4])


def test_the_time_can_be_moved_on():
    """Lifetimes, budgets and the ``Date`` follow one clock, so that tests need not wait."""
    with Sandbox([], settings=SandboxSettings(rate_limit=1)) as sandbox:
        token = sandbox.issue_token(lifetime=7_200)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": MEDIA_TYPE}

        def ask() -> requests.Response:
            return requests.get(f"{sandbox.base_url}/users", headers=headers, timeout=5)

        first = ask()
        assert ask().status_code == 429
        sandbox.advance(3_601)
        second = ask()
        sandbox.advance(3_600)

        moved = parsedate_to_datetime(second.headers["date"]) - parsedate_to_datetime(first.headers["date"])
        assert 3_601 <= moved.total_seconds() < 3_610
        assert (first.status_code, second.status_code, ask().status_code) == (200, 200, 401)


# Through the public function


def test_faults_and_settings_are_passed_to_the_public_function():
    """Users test their own code against a server that fails as they say."""
    fault = of.Fault(path="/accounts", status=502, times=1)

    with of.sandbox(
        prospects=10, faults=[fault, {"path": "/prospects", "status": 404}], settings={"rate_limit": 3}
    ) as org:
        assert len(of.fetch_accounts(org, progress=False)) > 0
        with pytest.raises(of.errors.NotFoundError):
            of.fetch_prospects(org, progress=False)
        assert org.sandbox.settings.rate_limit == 3

    assert fault.used == 1


def test_settings_are_an_object_or_a_mapping():
    settings = of.SandboxSettings(rate_limit=5)

    with of.sandbox(resources=[], settings=settings) as org:
        assert org.sandbox.settings is settings


@pytest.mark.parametrize(
    ("options", "suggestion"),
    [({"settings": {"rate_limits": 5}}, "rate_limit"), ({"faults": [{"stauts": 500}]}, "status")],
    ids=["setting", "fault"],
)
def test_unknown_names_are_refused_with_a_suggestion(options, suggestion):
    with pytest.raises(of.errors.UnknownNameError, match=f"did you mean '{suggestion}'"):
        of.sandbox(resources=[], **options)


@pytest.mark.parametrize(
    "options",
    [{"settings": {"nulls": "middle"}}, {"faults": [{"delivery": "late"}]}, {"prospects": 0}, {"resources": [{}]}],
    ids=["setting", "fault", "size", "resource"],
)
def test_impossible_values_are_refused(options):
    """Each would otherwise have no effect, and a test would pass for the wrong reason."""
    with pytest.raises(of.errors.QueryError, match="The sandbox cannot be made"):
        of.sandbox(**options)


def test_a_running_sandbox_refuses_settings_that_it_does_not_have(sandbox):
    with pytest.raises(AttributeError, match="there is no setting 'rate_limits'"):
        sandbox.settings.rate_limits = 5
    with pytest.raises(ValueError, match="nulls is 'middle'; it must be one of 'lowest', 'highest'"):
        sandbox.settings.nulls = "middle"


def test_a_fault_is_added_as_an_object_or_by_its_attributes(sandbox):
    fault = of.Fault(status=500)

    assert sandbox.faults.add(fault) is fault
    with pytest.raises(TypeError, match="not both"):
        sandbox.faults.add(fault, status=500)
