"""Requests to erase a person: when they are done, and what of the person stays on this machine."""

import pytest

import outreach_frames as of
from outreach_frames import compliance
from outreach_frames.errors import DeadlineError


def rewritten(old, new):
    """Return a fault's rewriting of each answer."""
    return lambda body: body.replace(old, new)


@pytest.fixture
def erased(org):
    """Ask for somebody to be erased, and let it be done; return the request."""
    address = of.fetch(org, "prospects", limit=1)["emails"].iloc[0][0]
    request = compliance.request_deletion(org, address, requester="admin@example.com")
    org.sandbox.run_jobs()
    return request


def test_a_request_without_a_state_is_not_done(org, erased):
    """Who takes a missing state for done tells a regulator of an erasure that may not have happened."""
    org.sandbox.faults.add(path="/complianceRequests", rewrite=rewritten(b'"done"', b"null"))

    with pytest.raises(DeadlineError):
        compliance.wait(org, erased, timeout=1, poll=10)


def test_a_batch_of_no_requests_is_not_done(org):
    """Nothing was found to be done, and nothing was."""
    with pytest.raises(DeadlineError):
        compliance.wait(org, "6a2f41a3-c54c-4e0e-8d7b-2f1c7d2b9d11", timeout=1, poll=10)


def test_who_is_to_be_erased_is_not_put_on_disk(org, erased):
    """The cache would keep the address that everything else was made to forget."""
    org.cache.clear()

    requests = compliance.wait(org, erased)
    of.fetch(org, "compliance_requests", refresh=True)

    assert requests["state"].eq("done").all()
    assert org.cache.info().answers == 0
