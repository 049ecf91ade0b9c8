"""
Addresses and numbers of prospects, which the API has twice.

A prospect has lists (``emails``, ``workPhones`` …), and each entry is also a resource of its own (``emailAddress``,
``phoneNumber``). Writing one side writes the other.
"""

from dataclasses import dataclass
from typing import Any

from outreach_frames.emulator.store import Record
from outreach_frames.emulator.writing.editor import Editor


@dataclass(frozen=True)
class List:
    """
    One list of a prospect and the resources behind it.

    Attributes
    ----------
    attribute
        The prospect's list.
    type, value
        Type of the resources, and their attribute with the entry.
    kind, kind_value
        Attribute and value that tell the entries of this list from others of the same type; empty for none.
    """

    attribute: str
    type: str
    value: str
    kind: str = ""
    kind_value: str = ""

    def holds(self, entry: Record) -> bool:
        """Whether a resource is one of this list's."""
        return entry.type == self.type and (
            not self.kind or (entry.attributes.get(self.kind) or "other") == self.kind_value
        )


LISTS = (
    List("emails", "emailAddress", "email"),
    *(
        List(f"{kind}Phones", "phoneNumber", "number", "phoneType", kind)
        for kind in ("mobile", "work", "home", "voip", "other")
    ),
)


def follow_prospect(editor: Editor, before: Record | None, prospect: Record) -> None:
    """Create, reorder and delete the resources behind the lists of a prospect that changed."""
    for each in LISTS:
        wanted = prospect.attributes.get(each.attribute) or []
        if before is None or (before.attributes.get(each.attribute) or []) != wanted:
            _match(editor, prospect, each, wanted)


def follow_entry(editor: Editor, entry: Record) -> None:
    """Bring the prospect's list in line after an address or a number was created, changed or deleted."""
    owner = editor.related(entry, "prospect")
    for each in LISTS if owner else ():
        if owner and each.type == entry.type:
            values = [found.attributes.get(each.value) for found in _entries(editor, owner, each)]
            if values != (owner.attributes.get(each.attribute) or []):
                editor.change(owner, {each.attribute: values})


def _entries(editor: Editor, prospect: Record, listed: List) -> list[Record]:
    found = editor.store.referrers(listed.type, "prospect").of(prospect.identifier)
    return sorted((each for each in found if listed.holds(each)), key=lambda each: each.attributes.get("order") or 0)


def _match(editor: Editor, prospect: Record, listed: List, wanted: list[Any]) -> None:
    present = {entry.attributes.get(listed.value): entry for entry in _entries(editor, prospect, listed)}
    for value in present.keys() - set(wanted):
        editor.remove(present[value])
    for order, value in enumerate(wanted):
        if value in present:
            editor.change(present[value], {"order": order})
        else:
            kind: dict[str, Any] = {listed.kind: listed.kind_value} if listed.kind else {"emailType": "work"}
            editor.add(listed.type, kind | {listed.value: value, "order": order}, {"prospect": prospect.identifier})
