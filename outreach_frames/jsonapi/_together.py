"""Each resource of a page once, with everything that the page says of it in several places."""

from collections.abc import Hashable, Mapping
from dataclasses import replace

import msgspec

from outreach_frames.jsonapi._values import NULL
from outreach_frames.jsonapi.repair import Loose, Members, identity, object_of, says_nothing, type_of


def together(page: Loose, id_types: Mapping[str, type], *, included: bool = True) -> Loose:
    """
    Return a page that has each resource once, with all that it says of it in several places.

    Members that are absent in one place do not erase those that another has; of members in both, ``data`` counts
    before ``included`` and the later before the earlier. A resource of ``data`` is not among the included ones.

    Parameters
    ----------
    page
        The page.
    id_types
        How ids are stored, by resource type; resources of other types are left as they are.
    included
        Whether included resources are of interest.
    """

    def key(members: Members, where: str) -> Hashable:
        name = type_of(members, where=where)
        id_ = identity(members.get("id", NULL), id_types[name]) if name in id_types else None
        return object() if id_ is None else (name, id_)

    found: dict[Hashable, Members] = {}
    beside = [(key(members, "included"), members) for members in (page.included if included else ())]
    rows = [(key(members, "data"), members) for members in page.data]
    for which, members in (*beside, *rows):
        found[which] = _together(found[which], members) if which in found else members
    if len(found) == len(beside) + len(rows):
        return page
    data = {which: found[which] for which, _ in rows}
    others = {which: found[which] for which, _ in beside if which not in data}
    return replace(page, data=list(data.values()), beside=msgspec.Raw(msgspec.json.encode(list(others.values()))))


def _together(old: Members, new: Members) -> Members:
    parts = [part for part in ("attributes", "relationships", "meta") if part in old and part in new]
    return {**new, **old, **new} | {part: _merged(part, old[part], new[part]) for part in parts}


def _merged(part: str, old: msgspec.Raw, new: msgspec.Raw) -> msgspec.Raw:
    """Return an object with the members of both, and of two objects that are no objects the later."""
    if says_nothing(new):
        return old
    before, after = object_of(old), object_of(new)
    if not before or not after:
        return new
    if part == "relationships":
        after |= {name: _related(before[name], raw) for name, raw in after.items() if name in before}
    return msgspec.Raw(msgspec.json.encode({**after, **before, **after}))


def _related(old: msgspec.Raw, new: msgspec.Raw) -> msgspec.Raw:
    """Return a relationship with the links of both, and the identifiers of the later that has some."""
    before, after = object_of(old), object_of(new)
    if not after:
        return old if new != NULL and says_nothing(new) else new
    if not {"data", "id"}.isdisjoint(after):
        before = {name: raw for name, raw in before.items() if name not in {"data", "type", "id"}}
    return msgspec.Raw(msgspec.json.encode({**before, **after}))
