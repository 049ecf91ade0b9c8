"""How one signs in to the sandbox, asked by a plain program: codes, rotating refresh tokens, app tokens."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from outreach_frames._sandbox import Sandbox
from tests.sandbox.small_organization import MEDIA_TYPE

REDIRECT = "http://localhost:8976/callback?from=outreach"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key) -> bytes:
    """Return the public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def fresh(sandbox: Sandbox) -> Sandbox:
    """Return a sandbox that has handed out no token for a minute."""
    sandbox.advance(61)
    yield sandbox
    sandbox.oauth.consents, sandbox.oauth.user = True, 1


def authorized(sandbox: Sandbox, **changes) -> requests.Response:
    """Ask for a code as a browser would, without following the redirect."""
    asked = {
        "client_id": sandbox.oauth.client_id,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": "prospects.read users.all",
        "state": "a state & more",
    }
    host = sandbox.base_url.removesuffix("/api/v2")
    return requests.get(f"{host}/oauth/authorize", params=asked | changes, allow_redirects=False, timeout=5)


def sent_back(answer: requests.Response) -> dict[str, str]:
    """Return what the redirect carries."""
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def token(sandbox: Sandbox, *, as_json: bool = False, **changes) -> requests.Response:
    """Ask for a token."""
    app = {
        "client_id": sandbox.oauth.client_id,
        "client_secret": sandbox.oauth.client_secret,
        "redirect_uri": REDIRECT,
    }
    host = sandbox.base_url.removesuffix("/api/v2")
    form = app | changes
    return requests.post(f"{host}/oauth/token", **({"json": form} if as_json else {"data": form}), timeout=5)


def refreshed(sandbox: Sandbox, refresh_token: str) -> requests.Response:
    """Use a refresh token."""
    return token(sandbox, grant_type="refresh_token", refresh_token=refresh_token)


def refused(answer: requests.Response) -> tuple[int, str]:
    """Return status and word of an OAuth refusal."""
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error", "error_description"}
    return answer.status_code, answer.json()["error"]


def works(sandbox: Sandbox, access_token: str) -> int:
    """Return the status of a request for prospects."""
    headers = {"Authorization": f"Bearer {access_token}", "Content-Type": MEDIA_TYPE}
    return requests.get(f"{sandbox.base_url}/prospects", headers=headers, timeout=5).status_code


@pytest.mark.parametrize("as_json", [False, True], ids=["form", "JSON"])
def test_a_code_becomes_a_token_once(fresh, as_json):
    """State and query of the redirect come back; the reply has the documented members."""
    back = sent_back(authorized(fresh))

    answer = token(fresh, as_json=as_json, grant_type="authorization_code", code=back["code"])

    assert (back["state"], back["from"]) == ("a state & more", "outreach")
    reply = answer.json()
    assert set(reply) == {"access_token", "token_type", "expires_in", "refresh_token", "scope", "created_at"}
    assert (reply["token_type"], reply["expires_in"], reply["scope"]) == ("Bearer", 7200, "prospects.read users.all")
    assert works(fresh, reply["access_token"]) == 200
    assert refused(token(fresh, grant_type="authorization_code", code=back["code"])) == (400, "invalid_grant")


def test_a_code_does_not_last_and_belongs_to_its_redirect(fresh):
    """Whoever intercepts one cannot have it sent elsewhere."""
    code = sent_back(authorized(fresh))["code"]
    elsewhere = token(fresh, grant_type="authorization_code", code=code, redirect_uri="http://localhost:1/")
    fresh.advance(601)

    assert refused(elsewhere) == (400, "invalid_grant")
    assert refused(token(fresh, grant_type="authorization_code", code=code)) == (400, "invalid_grant")


def test_a_code_that_was_asked_for_with_a_challenge_needs_its_verifier(fresh):
    """RFC 7636; the pair is the one of its appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    challenge = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
    grant = {"grant_type": "authorization_code", "code": sent_back(authorized(fresh, **challenge))["code"]}

    for wrong in ({}, {"code_verifier": ""}, {"code_verifier": verifier[::-1]}):
        assert refused(token(fresh, **grant, **wrong)) == (400, "invalid_grant")
    assert token(fresh, **grant, code_verifier=verifier).status_code == 200


def test_what_the_browser_is_told_when_it_is_refused(fresh):
    assert authorized(fresh, client_id="another").status_code == 400
    assert sent_back(authorized(fresh, response_type="token"))["error"] == "unsupported_response_type"
    fresh.oauth.consents = False
    assert sent_back(authorized(fresh)) == {"error": "access_denied", "state": "a state & more", "from": "outreach"}


def test_the_user_in_front_of_the_browser_is_who_signs_in(fresh):
    """The budget is counted by user, and so is the throttle."""
    fresh.oauth.user = 2
    reply = token(fresh, grant_type="authorization_code", code=sent_back(authorized(fresh))["code"]).json()

    headers = {"Authorization": f"Bearer {reply['access_token']}", "Content-Type": MEDIA_TYPE}
    me = requests.get(fresh.base_url, headers=headers, timeout=5).json()["meta"]["user"]["id"]

    assert me == 2


@pytest.mark.parametrize("status", [400, 401])
def test_a_refresh_token_is_good_for_one_refresh(fresh, status):
    """Or, by the other source, until it is old."""
    fresh.settings.bad_grant_status = status
    first = fresh.oauth.issue()
    second = refreshed(fresh, first["refresh_token"])
    fresh.advance(61)

    assert second.json()["refresh_token"] != first["refresh_token"]
    assert works(fresh, first["access_token"]) == works(fresh, second.json()["access_token"]) == 200
    assert refused(refreshed(fresh, first["refresh_token"])) == (status, "invalid_grant")
    assert refreshed(fresh, second.json()["refresh_token"]).status_code == 200


def test_an_old_refresh_token_can_stay_good(fresh):
    """Two sources disagree, so it is a switch."""
    fresh.settings.rotated_refresh_token = "valid"
    first = fresh.oauth.issue()
    refreshed(fresh, first["refresh_token"])
    fresh.advance(61)

    assert refreshed(fresh, first["refresh_token"]).status_code == 200


def test_tokens_end(fresh):
    """An access token after two hours, a refresh token after 14 days or by an administrator's hand."""
    reply, ended = fresh.oauth.issue(), fresh.oauth.issue()
    fresh.oauth.end(ended["refresh_token"])
    assert works(fresh, reply["access_token"]) == 200

    fresh.advance(7_201)
    assert works(fresh, reply["access_token"]) == 401
    assert refused(refreshed(fresh, ended["refresh_token"])) == (400, "invalid_grant")
    fresh.advance(14 * 86_400)
    assert refused(refreshed(fresh, reply["refresh_token"])) == (400, "invalid_grant")


def test_one_token_a_minute(fresh):
    """A refused request uses nothing up."""
    reply = refreshed(fresh, fresh.oauth.issue()["refresh_token"]).json()

    hasty = refreshed(fresh, reply["refresh_token"])
    other = refreshed(fresh, fresh.oauth.issue(user=2)["refresh_token"])
    fresh.advance(float(hasty.headers["retry-after"]))

    assert refused(hasty) == (429, "rate_limit_exceeded")
    assert 55 <= int(hasty.headers["retry-after"]) <= 60
    assert other.status_code == 200
    assert refreshed(fresh, reply["refresh_token"]).status_code == 200


def test_the_throttle_can_be_switched_off(fresh):
    fresh.settings.token_interval_s = 0.0
    reply = refreshed(fresh, fresh.oauth.issue()["refresh_token"]).json()

    assert refreshed(fresh, reply["refresh_token"]).status_code == 200


def test_a_hundred_tokens_live_and_the_oldest_drop_out(fresh):
    first = fresh.oauth.issue()
    assert works(fresh, first["access_token"]) == 200

    for _ in range(100):
        fresh.oauth.issue()

    assert works(fresh, first["access_token"]) == 401


def test_an_application_must_say_who_it_is(fresh):
    for changes in ({"client_secret": "wrong"}, {"client_id": "another"}):
        assert refused(token(fresh, grant_type="refresh_token", refresh_token="x", **changes)) == (
            401,
            "invalid_client",
        )
    assert refused(token(fresh, grant_type="password")) == (400, "unsupported_grant_type")


# Server to server


def app_token(key, guid: str, now: float, *, life: int = 3_600, alg: str = "RS256") -> str:
    """Sign an app token by hand."""
    claims = {"iat": int(now), "exp": int(now) + life, "iss": guid}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({"alg": alg, "typ": "JWT"}, claims)]
    signed = b".".join(part.rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(key.sign(signed, PKCS1v15(), SHA256())).rstrip(b"=")
    return (signed + b"." + signature).decode()


def ask_app(sandbox: Sandbox, id_: str, action: str, bearer: str) -> requests.Response:
    """Ask an installation's endpoint."""
    url = f"{sandbox.base_url.removesuffix('/api/v2')}/api/app/installs/{id_}/actions/{action}"
    return requests.post(url, headers={"Authorization": f"Bearer {bearer}"}, timeout=5)


def test_an_app_gets_a_token_for_an_hour_and_the_base_of_its_organization(fresh):
    """The members are those of a reply that was seen."""
    guid = fresh.installs.register_key(pem(KEY))
    install = fresh.installs.install(guid)
    signed = app_token(KEY, guid, fresh.seconds())

    found = ask_app(fresh, fresh.installs.setup_token(install), "setupToken", signed)
    answer = ask_app(fresh, install, "accessToken", signed)

    data = answer.json()["data"]
    assert found.json()["data"]["id"] == data["id"] == install
    assert data["type"] == "install"
    assert data["relationships"]["org"]["links"]["api"] == fresh.base_url
    assert data["relationships"]["app"]["data"]["id"] == guid
    assert len(data["attributes"]["installedAt"]) == len("2026-01-05T10:00:01.412000Z")
    assert works(fresh, data["meta"]["accessToken"]) == 200
    fresh.advance(3_601)
    assert works(fresh, data["meta"]["accessToken"]) == 401


def test_an_app_may_do_what_apps_may(fresh):
    """Mailings can be read and mailboxes cannot, without a user."""
    guid = fresh.installs.register_key(pem(KEY))
    reply = ask_app(fresh, fresh.installs.install(guid), "accessToken", app_token(KEY, guid, fresh.seconds())).json()
    headers = {"Authorization": f"Bearer {reply['data']['meta']['accessToken']}", "Content-Type": MEDIA_TYPE}

    statuses = [
        requests.get(f"{fresh.base_url}/{plural}", headers=headers, timeout=5).status_code
        for plural in ("prospects", "mailings", "mailboxes")
    ]

    assert statuses == [200, 200, 403]


def test_another_host_is_named_where_the_organization_lives_there(fresh):
    fresh.settings.links_base_url = "https://app1f.outreach.io/api/v2"
    guid = fresh.installs.register_key(pem(KEY))

    reply = ask_app(fresh, fresh.installs.install(guid), "accessToken", app_token(KEY, guid, fresh.seconds()))

    assert reply.json()["data"]["relationships"]["org"]["links"]["api"] == "https://app1f.outreach.io/api/v2"


@pytest.mark.parametrize(
    "bearer",
    [
        lambda guid, now: app_token(OTHER_KEY, guid, now),
        lambda guid, now: app_token(KEY, guid, now - 3_700),
        lambda guid, now: app_token(KEY, guid, now + 300),
        lambda guid, now: app_token(KEY, guid, now, life=7_200),
        lambda guid, now: app_token(KEY, guid, now, alg="none"),
        lambda _, now: app_token(KEY, "another", now),
        lambda guid, now: app_token(KEY, guid, now)[:-4] + "AAAA",
        lambda _, __: "no.token.at all",
        lambda _, __: "",
        lambda _, __: "W10.W10.W10",
    ],
    ids=[
        "another key",
        "expired",
        "from the future",
        "too long",
        "unsigned",
        "nobody",
        "changed",
        "rubbish",
        "nothing",
        "lists",
    ],
)
def test_an_app_token_that_is_not_right_is_refused(fresh, bearer):
    guid = fresh.installs.register_key(pem(KEY))

    answer = ask_app(fresh, fresh.installs.install(guid), "accessToken", bearer(guid, fresh.seconds()))

    assert answer.status_code == 401
    assert answer.json()["errors"][0]["id"] == "unauthorized"


def test_an_app_gets_nothing_of_anothers_installation(fresh):
    guid, other = fresh.installs.register_key(pem(KEY)), fresh.installs.register_key(pem(OTHER_KEY))
    signed = app_token(OTHER_KEY, other, fresh.seconds())
    install = fresh.installs.install(guid)
    setup_token = fresh.installs.setup_token(install)

    assert ask_app(fresh, install, "accessToken", signed).status_code == 404
    assert ask_app(fresh, setup_token, "setupToken", signed).status_code == 404
    fresh.advance(901)
    assert ask_app(fresh, setup_token, "setupToken", app_token(KEY, guid, fresh.seconds())).status_code == 404


def test_only_keys_that_the_portal_takes_can_be_registered(fresh):
    other_size = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    for key in (other_size, ec.generate_private_key(ec.SECP256R1())):
        with pytest.raises(ValueError, match="2048"):
            fresh.installs.register_key(pem(key))
