"""Pages as the resources they hold, still undecoded, to be put together by type or with those of other pages."""

from codecs import BOM_UTF8
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from outreach_frames._fetch.pagination import FetchedPage
from outreach_frames._jsonapi.inference import ObservedType, observe
from outreach_frames._jsonapi.lenient import (
    Members,
    RawDocument,
    counts,
    next_link,
    object_of,
    reading,
    split_document,
    type_of,
)

__all__ = [
    "Members",
    "RawDocument",
    "by_type",
    "deduplicated",
    "document_of",
    "link_of",
    "merged_pages",
    "observed_in",
    "read_raw_page",
]


NOTHING = msgspec.Raw(b"null")


def read_raw_page(body: bytes) -> FetchedPage[RawDocument]:
    """
    Read a page into its resources; an answer without content (204) has none.

    Raises
    ------
    DocumentError
        It is no JSON:API document with resources.
    """
    with reading():
        page = split_document(body.removeprefix(BOM_UTF8)) if body else RawDocument(data=[])
        count, truncated = counts(page.meta)
        return FetchedPage(
            content=page,
            keys=[_key(members) or bytes(msgspec.json.encode(members)) for members in page.data],
            next=next_link(page.links),
            count=None if truncated and not count else count,
            count_truncated=truncated,
        )


def link_of(links: Members, name: str) -> str | None:
    """
    Return the address of a link; ``None`` where there is none.

    Raises
    ------
    DocumentError
        It is no text.
    """
    return next_link({"next": links[name]}) if name in links else None


def by_type(resources: Iterable[Members], *, where: str) -> dict[str, list[Members]]:
    """
    Sort resources by their types, in order of appearance.

    Raises
    ------
    DocumentError
        One has no type.
    """
    groups = defaultdict(list)
    for members in resources:
        groups[type_of(members, where=where)].append(members)
    return dict(groups)


def observed_in(document: RawDocument) -> dict[str, ObservedType]:
    """
    Return what a document holds of each resource type, those that are only pointed to among them.

    Raises
    ------
    DocumentError
        A resource has no type, or is laid out differently.
    """
    with reading():
        return observe(document)


def document_of(data: Sequence[Members], included: Sequence[Members] = ()) -> bytes:
    """Write resources as one document."""
    return msgspec.json.encode({"data": data, "included": included})


def merged_pages(pages: Iterable[RawDocument], limit: int | None) -> RawDocument:
    """Put pages together: each resource once, as and where it came last; at most ``limit`` primary ones."""
    pages = list(pages)
    data = deduplicated(members for page in pages for members in page.data)
    included = deduplicated(members for page in pages for members in page.included)
    return RawDocument(data=data[:limit], beside=msgspec.Raw(msgspec.json.encode(included)))


def deduplicated(resources: Iterable[Members]) -> list[Members]:
    """Return each resource once, as and where it came last; what was not sent again stays as it was."""
    resources_by_key: dict[object, Members] = {}
    for members in resources:
        key = _key(members) or object()
        before = resources_by_key.pop(key, None)
        resources_by_key[key] = members if before is None else _joined(before, members)
    return list(resources_by_key.values())


def _joined(before: Members, members: Members) -> Members:
    """Lay a resource over itself as it was before; the attributes and relationships of both remain."""
    joined = {**before, **members}
    for name in ("attributes", "relationships"):
        old, new = (object_of(sent.get(name, NOTHING)) for sent in (before, members))
        if name == "relationships":
            new |= {key: _encoded({**object_of(old[key]), **object_of(new[key])}) for key in old.keys() & new.keys()}
        if old:
            joined[name] = _encoded({**old, **new})
    return joined


def _encoded(members: Members) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(members))


def _key(members: Members) -> tuple[bytes, bytes] | None:
    """Return type and id as sent; ``None`` of what has none, and is like no other resource."""
    return (bytes(members["type"]), bytes(members["id"])) if {"type", "id"} <= members.keys() else None
