"""
The checks of the command ``doctor``: versions, folders, sign-in, API, clock and budget.

What is said can be pasted into a public issue: no token, address or name is in it, unless names are wished for.
"""

import os
import platform
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import requires, version
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from outreach_frames import __version__, _write_journal
from outreach_frames._auth import Profile, Profiles
from outreach_frames._extras import EXTRAS, is_installed
from outreach_frames._http import Response
from outreach_frames._http.cache import default_folder
from outreach_frames.connections import BASE_URL, DEFAULT_PROFILE, connect
from outreach_frames.errors import AuthError, OutreachError, PermissionDeniedError, RateLimitError

CheckState = Literal["ok", "failed", "unknown"]

LARGEST_DIFFERENCE = 60
"""How far this machine's clock may be from the API's [s]; expiry of tokens and waits go by it."""

_VARIABLES = re.compile(
    r"OUTREACH_(TOKEN|BASE_URL|PROFILE|CLIENT_ID|CLIENT_SECRET|REDIRECT_URI|WEBHOOK_SECRET)"
    r"|(HTTPS?|ALL|NO)_PROXY|(REQUESTS|CURL)_CA_BUNDLE|SSL_CERT_(FILE|DIR)",
    re.IGNORECASE,
)
_MINUTE, _DAY_S = 60, 86_400


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """
    The result of a check.

    Attributes
    ----------
    check
        What was looked at.
    state
        ``"ok"``, ``"failed"``, or ``"unknown"`` where it could not be looked at.
    message
        What is so, or what is wrong.
    """

    check: str
    state: CheckState
    message: str


def examine(profile: str | None = None, *, names: bool = False) -> Iterator[DoctorCheck]:
    """
    DoctorCheck this installation, its sign-in and the way to the API.

    Parameters
    ----------
    profile
        Sign-in to check; default: what `connect` would use.
    names
        Whether messages may hold paths, the host, the profile's name and the text of errors.

    Yields
    ------
    check : DoctorCheck
        One request is sent, for one user; its answer is neither shown nor kept.
    """
    yield DoctorCheck(
        "version", "ok", f"outreach_frames {__version__}, Python {platform.python_version()}, {_system()}"
    )
    yield _libraries()
    yield DoctorCheck("extras", "ok", ", ".join(filter(_has_extra, EXTRAS)) or "none is installed")
    variables = sorted(name for name in os.environ if _VARIABLES.fullmatch(name))
    yield DoctorCheck(
        "environment", "ok", f"set: {', '.join(variables)}" if variables else "no variable of ours is set"
    )
    for name, folder, is_private in (
        ("sign-ins", Profiles().folder, True),
        ("cache", default_folder() / "http", True),
        ("journals", _write_journal.journal_folder(), False),
    ):
        yield _folder_check(name, folder, names=names, is_private=is_private)
    yield _sign_in(profile, names=names)
    yield from _api(profile, names=names)


def _system() -> str:
    return f"{platform.system()} {platform.machine()}"


def _libraries() -> DoctorCheck:
    """Name the version of each library that is always needed."""
    try:
        lines = [line for line in requires("outreach_frames") or () if "extra ==" not in line]
    except ModuleNotFoundError:
        return DoctorCheck("libraries", "unknown", "outreach_frames runs from a folder and is not installed")
    versions, absent = [], []
    for line in lines:
        library = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        try:
            versions.append(f"{library} {version(library)}")
        except ModuleNotFoundError:
            absent.append(library)
    if absent:
        return DoctorCheck("libraries", "failed", f"not installed: {', '.join(absent)}")
    return DoctorCheck("libraries", "ok", ", ".join(versions))


def _has_extra(name: str) -> bool:
    return all(map(is_installed, EXTRAS[name]))


def _folder_check(name: str, folder: Path, *, names: bool, is_private: bool) -> DoctorCheck:
    """Check that a folder, or the one that it will be made in, can be written to, and that only its owner can read."""
    check, where = f"folder of {name}", f" ({folder})" if names else ""
    try:
        if not folder.exists():
            above = next(each for each in folder.parents if each.exists())
            if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
                return DoctorCheck(check, "ok", f"not made yet{where}")
            return DoctorCheck(check, "failed", f"cannot be made{where}")
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            return DoctorCheck(check, "failed", f"cannot be written to{where}")
        if is_private and os.name == "posix":
            readable = [each for each in (folder, *folder.iterdir()) if stat.S_IMODE(each.lstat().st_mode) & 0o077]
            if readable:
                return DoctorCheck(check, "failed", f"{len(readable)} entries can be read by others{where}")
    except OSError as error:
        return DoctorCheck(check, "failed", f"{type(error).__name__}{where}")
    return DoctorCheck(check, "ok", f"can be written to{', private' if is_private else ''}{where}")


def _sign_in(profile: str | None, *, names: bool) -> DoctorCheck:
    """Say which sign-in is used, and how long its token lasts."""
    if profile is None and os.environ.get("OUTREACH_TOKEN"):
        return DoctorCheck("sign-in", "ok", "the token in OUTREACH_TOKEN, which is not renewed")
    name = (os.environ.get("OUTREACH_PROFILE") or DEFAULT_PROFILE) if profile is None else profile
    profiles = Profiles()
    try:
        saved = profiles.load(name)
        token = profiles.token(name)
    except OutreachError as error:
        return DoctorCheck("sign-in", "failed", _sentence(error, names=names))
    if token is None:
        return DoctorCheck(
            "sign-in", "failed", "the secrets of the profile are gone; sign in again: outreach-frames login"
        )
    left = token.expires_at - time.time()
    life = f"token valid for {left / _MINUTE:.0f} more minutes" if left > 0 else "token expired"
    renewal = "renews itself" if token.refresh else "cannot be renewed"
    state: CheckState = "ok" if left > 0 or token.refresh else "failed"
    return DoctorCheck("sign-in", state, f"{_profile(name, saved, names=names)}; {life}, {renewal}")


def _profile(name: str, saved: Profile, *, names: bool) -> str:
    called = f"profile {name!r} at {saved.app.base_url}" if names else "a profile"
    place = "the keyring" if saved.keyring else "a private file"
    return f"{called}, secrets in {place}, {len(saved.scopes)} scopes"


def _api(profile: str | None, *, names: bool) -> Iterator[DoctorCheck]:
    """Send one request; check that the API takes the sign-in, its clock and the budget."""
    answer = None
    try:
        with connect(profile=profile, cache=False, max_wait=0) as client:
            host = urlsplit(client.base_url).hostname
            where = "the public host" if host == urlsplit(BASE_URL).hostname else "another host than the public one"
            try:
                answer = client.session.get("/users", [("page[size]", "1")], store=False)
                yield DoctorCheck("API", "ok", f"{host if names else where} takes the sign-in")
            except PermissionDeniedError as error:
                if error.scope is None:
                    raise
                yield DoctorCheck(
                    "API", "ok", f"{host if names else where} takes the sign-in, which lacks {error.scope}"
                )
    except RateLimitError as error:
        yield DoctorCheck("API", "ok", "answered")
        yield DoctorCheck("clock", "unknown", "the answer was an error")
        yield DoctorCheck("budget", "failed", _sentence(error, names=names))
        return
    except OutreachError as error:
        no_token = isinstance(error, AuthError) and error.status is None
        yield DoctorCheck("API", "unknown" if no_token else "failed", _sentence(error, names=names))
    yield from (
        _answer(answer)
        if answer is not None
        else (DoctorCheck(name, "unknown", "there was no answer to read it from") for name in ("clock", "budget"))
    )


def _answer(answer: Response) -> Iterator[DoctorCheck]:
    if answer.date is None:
        yield DoctorCheck("clock", "unknown", "the API's answer has no date")
    else:
        # The header has whole seconds.
        difference = answer.date.timestamp() + 0.5 - (answer.requested_at + answer.received_at) / 2
        is_right = abs(difference) <= LARGEST_DIFFERENCE
        how = "agrees with the API's to the second" if abs(difference) <= 1.5 else _clock_difference(difference)  # noqa: PLR2004  a second, and rounding
        yield DoctorCheck("clock", "ok" if is_right else "failed", how)
    budget = answer.budget
    if budget.remaining is None:
        yield DoctorCheck("budget", "unknown", "the API states none")
    else:
        of_limit = f" of {budget.limit:,}" if budget.limit is not None else ""
        reset = ""
        if budget.resets_at is not None:
            reset = f"; reset in {max(0.0, budget.resets_at - answer.received_at) / _MINUTE:.0f} minutes"
        state: CheckState = "ok" if budget.remaining else "failed"
        yield DoctorCheck("budget", state, f"{budget.remaining:,}{of_limit} requests left{reset}")


def _clock_difference(seconds: float) -> str:
    side = "behind" if seconds > 0 else "ahead of"
    size = f"{abs(seconds):.0f} seconds" if abs(seconds) < _DAY_S else f"{abs(seconds) / _DAY_S:.0f} days"
    return f"{size} {side} the API's"


def _sentence(error: OutreachError, *, names: bool) -> str:
    """Return an error's text, or where it may hold names only its class and the status."""
    if names:
        return " ".join(str(error).split())
    status = getattr(error, "status", None)
    return f"{type(error).__name__}{f', status {status}' if status else ''}; --names shows the message"
