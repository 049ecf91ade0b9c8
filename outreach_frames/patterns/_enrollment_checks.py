"""
Whether prospects can be enrolled: the rules of a sequence, its ruleset, and the prospects themselves.

Everything is read when it is checked, never from the cache. The rules are those that the vendor describes; where it is
silent, the stricter reading is taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from outreach_frames._fetch import fetch
from outreach_frames._request_documents import is_missing
from outreach_frames._write_conflicts import current_records, id_text
from outreach_frames.client import Client

_UNFINISHED = frozenset({"pending", "active", "paused", "disabled", "failed", "bounced"})
"""States of enrollments that count as active."""
_UNDELIVERABLE_STATUS = frozenset({"bounced", "hard_bounced", "invalid", "undeliverable", "unsubscribed"})
"""Values of an address's ``status`` to which nothing is sent; the vendor does not publish them."""
_STEPS_WITH_MAIL = frozenset({"auto_email", "manual_email"})
_CHECKED_MEMBERS = {
    "sequences": ["enabled", "transactional", "ruleset"],
    "rulesets": [
        "permit_duplicate_prospects",
        "sequence_exclusivity",
        "minimum_prospect_touched_interval",
        "email_opt_out_action",
        "call_opt_out_action",
    ],
    "mailboxes": ["send_disabled"],
    "prospects": ["emails", "opted_out", "email_opted_out", "call_opted_out", "touched_at"],
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a prospect cannot be enrolled; `existing`: the enrollment that is in the way, if it is one."""

    reason: str
    existing: Any = None


@dataclass(frozen=True)
class SequenceRules:
    """
    What a sequence asks of its prospects.

    Attributes
    ----------
    number
        Id of the sequence, as text.
    sequence, ruleset
        Values by column; ``None`` and empty where there is none.
    step_types
        Types of its steps.
    """

    number: str
    sequence: Mapping[str, Any] | None
    ruleset: Mapping[str, Any] = field(default_factory=dict)
    step_types: frozenset[str] = frozenset()

    @property
    def mails(self) -> bool:
        """Whether the sequence sends mails."""
        return bool(self.step_types & _STEPS_WITH_MAIL)

    @property
    def permits_duplicates(self) -> bool:
        """Whether a prospect may be active in the sequence twice."""
        return _as_word(self.ruleset.get("permit_duplicate_prospects")) == "allow"

    def refusals(self) -> Iterator[str]:
        """Yield why nobody can be enrolled."""
        if self.sequence is None:
            yield "there is no such sequence"
        elif not _has_value(self.sequence.get("enabled")):
            yield "the sequence is not enabled"
        elif not self.step_types:
            yield "the sequence has no steps"


def rules_of(client: Client, sequence: int | str) -> SequenceRules:
    """Read what a sequence asks of its prospects."""
    number = id_text(sequence)
    head = _read(client, "sequences", [sequence]).get(number)
    if head is None:
        return SequenceRules(number, None)
    steps = fetch(client, "sequence_steps", filter={"sequence": sequence}, fields=["step_type"], **_FRESH)
    return SequenceRules(number, head, _ruleset(client, [head])[0], frozenset(steps["step_type"].dropna()))


def refusals(
    client: Client, rules: SequenceRules, prospects: Sequence[int | str], mailboxes: Sequence[Any]
) -> list[Refusal | None]:
    """
    Check prospects: one result each, ``None`` for who can be enrolled.

    Parameters
    ----------
    rules
        Of the sequence.
    prospects, mailboxes
        Ids, in the same order; a mailbox may be missing.
    """
    for general in rules.refusals():
        return [Refusal(general)] * len(prospects)
    if not prospects:
        return []
    boxes = _read(client, "mailboxes", [*dict.fromkeys(box for box in mailboxes if box is not None)])
    people = _read(client, "prospects", [*dict.fromkeys(prospects)])
    checks = _Checks(client, rules, [*people])
    results: list[Refusal | None] = []
    earlier: set[str] = set()
    for prospect, mailbox in zip(prospects, mailboxes, strict=True):
        number = id_text(prospect)
        reason = _mailbox_refusal(boxes, mailbox, mails=rules.mails)
        if number in earlier:
            reason = "an earlier row has the same prospect"
        elif number not in people:
            reason = "there is no such prospect"
        earlier.add(number)
        results.append(
            checks.enrolled(number) or (Refusal(reason) if reason else checks.refusal(people[number], number))
        )
    return results


def _mailbox_refusal(boxes: Mapping[str, Mapping[str, Any]], mailbox: Any, *, mails: bool) -> str | None:
    if mailbox is None:
        return "there is no mailbox"
    box = boxes.get(id_text(mailbox))
    if box is None:
        return "there is no such mailbox"
    return "the mailbox does not send" if mails and _has_value(box.get("send_disabled")) else None


class _Checks:
    """Checks prospects that are there."""

    def __init__(self, client: Client, rules: SequenceRules, numbers: Sequence[str]) -> None:
        self._rules = rules
        ids = [*map(int, numbers)]
        columns = ["state", "prospect", "sequence"]
        states = fetch(client, "sequence_states", filter={"prospect": ids}, fields=columns, **_FRESH)
        self._now = pd.Timestamp(states.attrs["outreach_frames"]["as_of"])
        self._states: dict[str, list[Mapping[str, Any]]] = {}
        for state in states.to_dict("records"):
            self._states.setdefault(id_text(state["prospect_id"]), []).append({str(k): v for k, v in state.items()})
        columns = ["status", "unsubscribed_at", "prospect"]
        addresses = fetch(client, "email_addresses", filter={"prospect": ids}, fields=columns, **_FRESH)
        self._addresses: dict[str, list[bool]] = {}
        for prospect, status, unsubscribed in zip(
            addresses["prospect_id"], addresses["status"], addresses["unsubscribed_at"], strict=True
        ):
            is_deliverable = status not in _UNDELIVERABLE_STATUS if isinstance(status, str) else True
            self._addresses.setdefault(id_text(prospect), []).append(is_deliverable and is_missing(unsubscribed))
        others = {id_text(state["sequence_id"]) for each in self._states.values() for state in each}
        sequences = _read(client, "sequences", [int(each) for each in others - {"<NA>", rules.number}])
        rulesets = _ruleset(client, [*sequences.values()])
        exclusivity = (_as_word(ruleset.get("sequence_exclusivity")) for ruleset in rulesets)
        self._exclusivity = dict(zip(sequences, exclusivity, strict=True))

    def enrolled(self, number: str) -> Refusal | None:
        """Return the enrollment of a prospect that is active in the sequence, where only one may be."""
        for state in self._states.get(number, ()):
            if id_text(state["sequence_id"]) == self._rules.number and state["state"] in _UNFINISHED:
                if self._rules.permits_duplicates:
                    return None
                return Refusal("the prospect is already active in this sequence", state["id"])
        return None

    def refusal(self, prospect: Mapping[str, Any], number: str) -> Refusal | None:
        """Return the first reason why a prospect cannot be enrolled."""
        reasons = (
            *(() if _has_value((self._rules.sequence or {}).get("transactional")) else self._opt_outs(prospect)),
            *self._unreachable(prospect, number),
            *self._clashes(prospect, number),
        )
        return Refusal(reasons[0]) if reasons else None

    def _opt_outs(self, prospect: Mapping[str, Any]) -> Iterator[str]:
        rules = self._rules
        if _has_value(prospect["opted_out"]):
            yield "the prospect has opted out"
        if (
            rules.mails
            and _has_value(prospect["email_opted_out"])
            and rules.ruleset.get("email_opt_out_action") != "allow"
        ):
            yield "the prospect has opted out of emails"
        calls = "call" in rules.step_types
        if calls and _has_value(prospect["call_opted_out"]) and rules.ruleset.get("call_opt_out_action") != "allow":
            yield "the prospect has opted out of calls"

    def _unreachable(self, prospect: Mapping[str, Any], number: str) -> Iterator[str]:
        emails = prospect["emails"]
        has_any = not (emails is None or is_missing(emails)) and len(emails) > 0
        if self._rules.mails and not any(self._addresses.get(number, [has_any])):
            yield "the prospect has no deliverable address"

    def _clashes(self, prospect: Mapping[str, Any], number: str) -> Iterator[str]:
        rules, states = self._rules, self._states.get(number, ())
        here = [state for state in states if id_text(state["sequence_id"]) == rules.number]
        if here and _as_word(rules.ruleset.get("permit_duplicate_prospects")) in {"", "disallow"}:
            yield "the prospect has already been in this sequence"
        elsewhere = {
            self._exclusivity.get(id_text(state["sequence_id"]), "")
            for state in states
            if id_text(state["sequence_id"]) != rules.number and state["state"] in _UNFINISHED
        }
        own, exclusive = _as_word(rules.ruleset.get("sequence_exclusivity")), "exclusivesequences"
        if elsewhere and (
            own == "allsequences" or "allsequences" in elsewhere or (own == exclusive and exclusive in elsewhere)
        ):
            yield "the prospect is active in another sequence, which a ruleset does not permit"
        wait, touched = rules.ruleset.get("minimum_prospect_touched_interval"), prospect["touched_at"]
        seconds = float(wait) if wait is not None and _has_value(wait) else 0.0
        if isinstance(touched, pd.Timestamp) and touched + pd.Timedelta(seconds=seconds) > self._now:
            yield "the prospect was contacted more recently than the ruleset permits"


_FRESH: Mapping[str, Any] = {"refresh": True, "progress": False}


def _read(client: Client, table: str, ids: Sequence[int | str]) -> dict[str, Mapping[str, Any]]:
    return current_records(client, client.catalog.resource(table), ids, _CHECKED_MEMBERS[table])


def _ruleset(client: Client, sequences: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the ruleset of each sequence; empty where it has none."""
    numbers = [None if is_missing(each["ruleset_id"]) else each["ruleset_id"] for each in sequences]
    rulesets = _read(client, "rulesets", [*dict.fromkeys(number for number in numbers if number is not None)])
    return [{} if number is None else rulesets.get(id_text(number), {}) for number in numbers]


def _has_value(value: Any) -> bool:
    return value is not None and not is_missing(value) and bool(value)


def _as_word(value: Any) -> str:
    """Return a value without case and underscores; the guide has ``onlyIfActive``, the schema ``only_if_inactive``."""
    return value.replace("_", "").casefold() if isinstance(value, str) else ""
