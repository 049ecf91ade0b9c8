"""An organization with somebody to erase, and a search of every byte of files for their address."""

import base64
import json
import sqlite3
import unicodedata
from contextlib import closing, suppress
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

import outreach_frames as of
from outreach_frames._http.cache import decode_response
from tests.fetch_support import resource
from tests.snapshot_support import contents

ADDRESS = "Jörg.O'Neil+x@exämple.com"
"""Of prospect 7, who is to be erased."""

OTHERS = "anjörg.o'neil+x@exämple.com"
"""Of prospect 8: it contains the address, and is another."""

TEXTS = {
    "plain": f"Write to {ADDRESS}.",
    "capitals": f"<{ADDRESS.upper()}>",
    "JSON": json.dumps({"to": ADDRESS}),
    "JSON in JSON": json.dumps(json.dumps({"to": ADDRESS})),
    "decomposed": unicodedata.normalize("NFD", ADDRESS),
    "ASCII domain": ADDRESS.rpartition("@")[0] + "@xn--exmple-cua.com",
    "URL": f"https://example.com/?to={quote(ADDRESS)}&x=1",
    "URL in a URL": f"https://example.com/?next={quote(quote(ADDRESS))}",
    "HTML": ADDRESS.replace("ö", "&ouml;").replace("@", "&#64;").replace("'", "&#x27;"),
    "escaped brackets": f"\\u003c{ADDRESS}\\u003e",
    "base64": base64.b64encode(f"To: {ADDRESS}, and others".encode()).decode(),
    "base64 a byte on": base64.b64encode(f"To:  {ADDRESS}, and others".encode()).decode(),
    "base64 of UTF-16": base64.b64encode(f"To: {ADDRESS}, and others".encode("utf-16-le")).decode(),
    "quoted-printable": ADDRESS.replace("ö", "=C3=B6").replace("ä", "=C3=A4"),
}
"""Spelling → a text with the address; records of the organization have them."""

MORE_TEXTS = {
    "soft line break": f"To: {ADDRESS[:9]}=\r\n{ADDRESS[9:]}",
    "soft line break in JSON": json.dumps(f"To: {ADDRESS[:9]}=\n{ADDRESS[9:]}"),
    "base64 in lines": base64.encodebytes(f"{'Dear all ' * 5}, {ADDRESS}, and others".encode()).decode(),
    "base64 in lines in JSON": json.dumps(
        base64.encodebytes(f"{'Dear all ' * 5} {ADDRESS}, and others".encode()).decode().replace("\n", "\r\n")
    ),
    "characters of no width": f"To: {ADDRESS[:4]}\u200b{ADDRESS[4:-2]}\u00ad{ADDRESS[-2:]}",
    "characters of no width in HTML": f"{ADDRESS[:4]}&zwnj;{ADDRESS[4:-5]}&#8203;{ADDRESS[-5:]}",
    "a sentence behind": f"Write to {ADDRESS}.Thanks",
    "a word behind": f"{ADDRESS}Sent from a telephone",
    "ideographic full stop": ADDRESS.replace("ple.com", "ple\u3002com"),
}
"""More of them, which no record has."""

BESIDE = {
    "a longer local part": f"joe.{ADDRESS}",
    "escaped": quote(f"joe+{ADDRESS}"),
    "a longer domain": f"{ADDRESS}.uk",
    "base64": base64.b64encode(f"joe.{ADDRESS}".encode()).decode(),
    "base64, longer domain": base64.b64encode(f"{ADDRESS}.uk".encode()).decode(),
}
"""Texts with other addresses, which contain the address."""

MORE_BESIDE = {
    "a longer domain in capitals": f"{ADDRESS}.uk".upper(),
    "a soft line break before a longer domain": f"{ADDRESS}.=\nuk",
}
"""More of them, which no record has."""


def records(prospects=20):
    """Return an organization: prospect 7 has the address, and records of others mention it."""
    spellings = [*TEXTS.values(), *BESIDE.values()]
    stamp = {"createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z"}
    people = range(1, prospects + 1)
    emails = {7: [ADDRESS.lower(), "second@example.org"], 8: [OTHERS]}
    yield resource("user", 1, {"email": "admin@example.com", "firstName": "A", **stamp})
    for id_ in people:
        attributes = {"emails": emails.get(id_, [f"p{id_}@example.com"]), "firstName": f"P{id_}", **stamp}
        yield resource("prospect", id_, attributes)
        yield resource("emailAddress", id_, {"email": attributes["emails"][0], **stamp}, prospect=("prospect", id_))
        text = spellings[id_ % len(spellings)]
        yield resource("mailing", id_, {"subject": text, "bodyText": text, **stamp}, prospect=("prospect", id_))
        yield resource("task", id_, {"note": text, **stamp}, subject=("prospect", id_), prospect=("prospect", id_))
        yield resource("opportunity", id_, {"name": f"O{id_}", **stamp}, primaryProspect=("prospect", id_))
        payload = {"to": ADDRESS if id_ == 9 else "nobody"}
        yield resource("event", id_, {"name": "e", "payload": payload, **stamp}, prospect=("prospect", id_))


RESOURCES = {
    **{name: {} for name in ("prospects", "email_addresses", "tasks", "events", "users")},
    "mailings": {"fields": ["subject", "bodyText", "createdAt", "updatedAt", "prospect"]},
    "opportunities": {"include": {"primary_prospect": ["first_name", "emails"]}},
}
"""Tables of the snapshots, and how they are taken."""


def take(org, folder):
    """Take a snapshot of three versions; an earlier one has what the later ones have not."""
    first = of.take_snapshot(org, folder, resources=RESOURCES, progress=False)
    org.update("users", 1, title=TEXTS["capitals"])
    org.update("prospects", 7, emails=[ADDRESS, "third@example.org"])
    first.refresh(org, progress=False)
    org.update("prospects", 9, title="CFO")
    return of.open_snapshot(folder).refresh(org, progress=False)


def bytes_of(*folders):
    """Return what is in every file: as it is, and unpacked where it is Parquet, or a cache of responses."""
    parts = []
    for path, content in contents(*folders).items():
        if content is None:
            continue
        parts.append(content)
        if path.suffix == ".parquet":
            with suppress(pa.ArrowInvalid), pq.ParquetFile(path) as file:  # one that a killed program began is none
                notes = file.schema_arrow.metadata or {}
                parts += [
                    json.dumps(file.read().to_pylist(), default=str, ensure_ascii=False).encode(),
                    *notes.values(),
                ]
        elif path.suffix == ".sqlite" and b"CREATE TABLE answers" in content:
            with closing(sqlite3.connect(path)) as cache:
                values = cache.execute("SELECT value FROM answers").fetchall()
            parts += [decode_response(value).content for (value,) in values]
    return b"\n".join(parts)


def spellings_in(*folders):
    """Return which spellings of the address are in any byte of the files below some folders."""
    content = bytes_of(*folders)
    local, domain = ADDRESS.rpartition("@")[0], ADDRESS.rpartition("@")[2]
    needles = {
        "UTF-8": [ADDRESS.encode(), ADDRESS.lower().encode(), ADDRESS.upper().encode()],
        "JSON": [json.dumps(each)[1:-1].encode() for each in (ADDRESS, ADDRESS.lower(), ADDRESS.upper())],
        "decomposed": [unicodedata.normalize("NFD", ADDRESS).encode()],
        "ASCII": [f"{local}@xn--exmple-cua.com".encode()],
        "percent": [quote(ADDRESS).encode(), quote(quote(ADDRESS)).encode()],
        "HTML": [TEXTS["HTML"].encode()],
        "quoted-printable": [TEXTS["quoted-printable"].encode()],
        "UTF-16": [ADDRESS.encode("utf-16-le"), ADDRESS.encode("utf-16-be")],
        "base64": [TEXTS[name][8:-20].encode() for name in TEXTS if name.startswith("base64")],
    }
    for text in (OTHERS, *BESIDE.values()):  # other people's addresses stay
        for spelled in (text, json.dumps(text)[1:-1], json.dumps(json.dumps(text)[1:-1])[1:-1]):
            content = content.replace(spelled.encode(), b"")
    assert domain
    return {name for name, each in needles.items() if any(needle in content for needle in each)}
