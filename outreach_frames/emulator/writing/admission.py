"""Who may be added to a sequence: the sequence, its ruleset, opt-outs, addresses and other sequences decide."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from outreach_frames.emulator.relations import UNFINISHED
from outreach_frames.emulator.store import Record
from outreach_frames.emulator.writing.editor import Editor
from outreach_frames.emulator.writing.moments import instant

UNDELIVERABLE = frozenset({"bounced", "hard_bounced", "invalid", "undeliverable", "unsubscribed"})
"""Values of ``emailAddress.status`` that rule an address out; the vendor publishes no vocabulary."""

MAIL_STEPS = frozenset({"auto_email", "manual_email"})


def refusals(editor: Editor, prospect: Record, sequence: Record) -> Iterator[tuple[str | None, str]]:
    """Yield every reason, with its pointer, why a prospect cannot be added to a sequence."""
    to_sequence, to_prospect = "/data/relationships/sequence", "/data/relationships/prospect"
    if not sequence.attributes.get("enabled") and not editor.settings.enrol_in_disabled:
        yield to_sequence, "Sequence must be enabled."
    if not steps(editor, sequence):
        yield to_sequence, "Sequence must have steps."
    mails = any(step.attributes.get("stepType") in MAIL_STEPS for step in steps(editor, sequence))
    if not sequence.attributes.get("transactional"):
        yield from ((to_prospect, reason) for reason in _opt_outs(editor, prospect, sequence, mails=mails))
    needs_address = {"never": True, "without mail steps": mails, "always": False}
    if needs_address[editor.settings.enrol_without_address] and not _is_reachable(editor, prospect):
        yield to_prospect, "Prospect has no deliverable email address."
    yield from ((to_prospect, reason) for reason in _clashes(editor, prospect, sequence))


def _opt_outs(editor: Editor, prospect: Record, sequence: Record, *, mails: bool) -> Iterator[str]:
    """Yield opt-outs; what a ruleset's opt-out actions may hold is not documented, ``"allow"`` lets in."""
    rules = _rules(editor, sequence)
    calls = any(step.attributes.get("stepType") == "call" for step in steps(editor, sequence))
    if prospect.attributes.get("optedOut"):
        yield "Prospect has opted out."
    if mails and prospect.attributes.get("emailOptedOut") and rules.get("emailOptOutAction") != "allow":
        yield "Prospect has opted out of emails."
    if calls and prospect.attributes.get("callOptedOut") and rules.get("callOptOutAction") != "allow":
        yield "Prospect has opted out of calls."


def _is_reachable(editor: Editor, prospect: Record) -> bool:
    addresses = editor.store.referrers("emailAddress", "prospect").of(prospect.identifier)
    if not addresses:
        return bool(prospect.attributes.get("emails"))
    return any(
        address.attributes.get("status") not in UNDELIVERABLE and not address.attributes.get("unsubscribedAt")
        for address in addresses
    )


def _clashes(editor: Editor, prospect: Record, sequence: Record) -> Iterator[str]:
    """Yield what the rulesets of this and the prospect's other sequences do not permit."""
    rules = _rules(editor, sequence)
    enrolled = editor.store.referrers("sequenceState", "prospect").of(prospect.identifier)
    unfinished = [state for state in enrolled if state.attributes.get("state") in UNFINISHED]
    same = [state for state in enrolled if _is_in(editor, state, sequence)]
    permitted = _word(rules.get("permitDuplicateProspects")) or "disallow"
    if permitted != "allow" and any(state in unfinished for state in same):
        yield "Prospect is already active in this sequence."
    elif permitted == "disallow" and same:
        yield "Prospect has already been in this sequence."
    others = [editor.related(state, "sequence") for state in unfinished if not _is_in(editor, state, sequence)]
    own = _word(rules.get("sequenceExclusivity"))
    foreign = {_word(_rules(editor, other).get("sequenceExclusivity")) for other in others if other}
    exclusive = "exclusivesequences"
    if others and (own == "allsequences" or "allsequences" in foreign or (own == exclusive and exclusive in foreign)):
        yield "Prospect is active in another sequence, which the sequences' exclusivity does not permit."
    wait, touched = rules.get("minimumProspectTouchedInterval"), prospect.attributes.get("touchedAt")
    if wait and touched and instant(touched) + timedelta(seconds=wait) > editor.now:
        yield "Prospect was contacted too recently."


def _is_in(editor: Editor, state: Record, sequence: Record) -> bool:
    other = editor.related(state, "sequence")
    return other is not None and other.key == sequence.key


def _rules(editor: Editor, sequence: Record) -> dict[str, Any]:
    ruleset = editor.related(sequence, "ruleset")
    return ruleset.attributes if ruleset else {}


def _word(value: Any) -> str:
    """Spellings differ between the guide (``onlyIfActive``) and the schema (``only_if_inactive``)."""
    return str(value or "").replace("_", "").casefold()


def steps(editor: Editor, sequence: Record) -> list[Record]:
    """Return the steps of a sequence, in order."""
    found = editor.all_related(sequence, "sequenceSteps")
    return sorted(found, key=lambda step: (step.attributes.get("order") or 0, step.key))
