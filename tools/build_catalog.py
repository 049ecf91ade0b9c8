"""
Make the catalog from the vendor's OpenAPI document: ``python tools/build_catalog.py OPENAPI.json``.

The document has no ``readOnly``, ``enum`` or filter members of its own: those facts stand in its descriptions, as badge
images and in sentences of a few fixed forms. They are read here, once; the catalog keeps facts and no prose.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

Json = dict[str, Any]

BADGES = {"readonly": "read_only", "writeonly": "write_only", "filterable": "filterable", "sortable": "sortable"}
LISTING = re.compile(r"can be|must be|possible values are|values include|use one of|a string|\be\.g\.", re.IGNORECASE)
QUOTED = re.compile(r"""(?<!\w)['"]([\w*][\w -]*)[,.]?['"]""")

ENUMERATIONS: dict[str, tuple[Sequence[str | int], bool]] = {
    "batch.state": (("pending", "confirming", "finished", "failed", "canceled"), True),
    "complianceRequest.requestType": (("Delete",), False),
    "emailAddress.emailType": (("work", "personal"), False),
    "import.dupeMethod": (("skip", "missing", "overwrite"), False),
    "import.frequency": (("once", "hourly", "daily"), False),
    "phoneNumber.phoneType": (("mobile", "work", "home", "voip", "other"), False),
    "sequenceState.state": (
        ("pending", "active", "paused", "disabled", "failed", "bounced", "opted_out", "finished"),
        False,
    ),
    "webhook.action": (
        (
            *("*", "created", "updated", "destroyed", "bounced", "delivered", "opened", "replied"),
            *("advanced", "finished", "completed"),
        ),
        False,
    ),
    "webhook.payloadVersion": ((1, 2), False),
    "webhook.resource": (
        (
            *("*", "account", "call", "emailAddress", "import", "kaiaRecording", "mailing", "opportunity"),
            *("opportunityProspectRole", "prospect", "sequence", "sequenceState", "task", "user"),
        ),
        False,
    ),
}
"""Values that the document gives without quotation marks, or that only the portal's pages give; and whether open."""

OPEN_ENUMERATIONS = {"mailbox.emailProvider", "mailing.mailingType"}
"""Values that the document gives as examples."""


def write_catalog(arguments: Sequence[str]) -> int:
    """Write the package's ``catalog.json`` from the OpenAPI document named; return the exit code."""
    if len(arguments) != 1:
        print("usage: python tools/build_catalog.py OPENAPI.json")
        return 2
    document = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    target = Path(__file__).parents[1] / "outreach_frames" / "catalog.json"
    target.write_text(compact(catalog(document)), encoding="utf-8")
    return 0


def compact(entries: Json) -> str:
    """Render the catalog with one line for each attribute and relationship, so that changes read well in a diff."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    def table(members: Json) -> str:
        if not members:
            return "{}"
        return "{\n" + ",\n".join(f"    {line(k)}: {line(v)}" for k, v in members.items()) + "\n  }"

    def entry(facts: Json) -> str:
        long = ("attributes", "relationships")
        return ",\n".join(f"  {line(k)}: {table(v) if k in long else line(v)}" for k, v in facts.items())

    return "{\n" + ",\n".join(f"{line(name)}: {{\n{entry(facts)}\n}}" for name, facts in entries.items()) + "\n}\n"


def catalog(document: Json) -> Json:
    """Return the catalog's entries by resource type, from a parsed OpenAPI document."""
    schemas = document["components"]["schemas"]
    plurals = dict(_collections(document["paths"], schemas))
    return {
        name: {
            "plural": plurals[name],
            **_id_type(schemas[f"{name}Response"]),
            **_operations(document["paths"], plurals[name]),
            "attributes": dict(_fold_numbered(_attributes(name, schemas[name]))),
            "relationships": _relationships(schemas[f"{name}Relationships"], plurals),
        }
        for name in sorted(plurals)
    }


def _collections(paths: Json, schemas: Json) -> Iterator[tuple[str, str]]:
    by_tag = {name.lower(): name for name in schemas if f"{name}Response" in schemas}
    for path, methods in paths.items():
        plural = path.split("/")[1]
        for operation in methods.values():
            tag = operation["tags"][0].replace(" ", "").lower()
            yield by_tag[tag], plural


def _id_type(response: Json) -> Json:
    declared = response["properties"]["id"]["type"]
    return {} if declared == "integer" else {"id_type": declared}


def _operations(paths: Json, plural: str) -> Json:
    """Collect operations, actions with their parameters, and which of them carry the server-to-server mark."""
    verbs = {
        ("get", ""): "list",
        ("post", ""): "create",
        ("get", "/{id}"): "get",
        ("patch", "/{id}"): "update",
        ("delete", "/{id}"): "delete",
    }
    found: Json = {"operations": [], "s2s_operations": [], "actions": {}, "collection_actions": {}}
    for path, methods in paths.items():
        if path.split("/")[1] != plural:
            continue
        rest = path.removeprefix(f"/{plural}")
        for method, operation in methods.items():
            action = re.fullmatch(r"(/{id})?/actions/(\w+)", rest)
            name = action[2] if action else verbs[method, rest]
            if action:
                found["actions" if action[1] else "collection_actions"][name] = _action_parameters(operation)
            else:
                found["operations"].append(name)
            if any("s2sAuthToken" in scheme for scheme in operation.get("security", ())):
                found["s2s_operations"].append(name)
    order = ["list", "get", "create", "update", "delete"]
    found["operations"].sort(key=order.index)
    found["s2s_operations"].sort(key=lambda name: (order.index(name) if name in order else len(order), name))
    return {key: value for key, value in found.items() if value}


def _action_parameters(operation: Json) -> list[str]:
    return sorted(
        name
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "actionParams"
        for name in parameter["schema"].get("properties", ())
    )


def _attributes(resource: str, schema: Json) -> Iterator[tuple[str, Json]]:
    for name, declared in schema.get("properties", {}).items():
        description = declared.get("description", "")
        facts: Json = {"type": declared["type"]}
        if "format" in declared:
            facts["format"] = declared["format"]
        if "type" in declared.get("items", {}):
            facts["items"] = declared["items"]["type"]
        if not declared.get("nullable"):
            facts["nullable"] = False
        facts |= {flag: True for badge, flag in BADGES.items() if f"badges/{badge}.svg" in description}
        if "maxLength" in declared:
            facts["max_length"] = declared["maxLength"]
        listed = {} if facts["type"] == "array" else _enumeration(f"{resource}.{name}", description)
        yield name, facts | listed


def _enumeration(attribute: str, description: str) -> Json:
    values, is_open = ENUMERATIONS.get(attribute, ((), attribute in OPEN_ENUMERATIONS))
    values = values or _quoted_values(description)
    return {"enum": list(values), **({"enum_open": True} if is_open else {})} if values else {}


def _quoted_values(description: str) -> list[str]:
    for sentence in re.split(r"(?<=[.;])\s+(?=[A-Z])", description):
        listing = LISTING.search(sentence)
        values = list(dict.fromkeys(QUOTED.findall(sentence[listing.end() :]))) if listing else []
        if len(values) > 1:
            return values
    return []


def _fold_numbered(attributes: Iterable[tuple[str, Json]]) -> Iterator[tuple[str, Json]]:
    """Write ``custom1`` … ``custom150`` as one entry where they follow each other and are all alike."""

    def stem(item: tuple[str, Json]) -> tuple[str, str]:
        name, facts = item
        return (re.sub(r"\d+$", "", name) if name.startswith("custom") else name), json.dumps(facts)

    for (name, _), alike in groupby(sorted(attributes, key=_natural), key=stem):
        members = list(alike)
        numbers = [int(n) for member, _ in members if (n := member.removeprefix(name)).isdigit()]
        if len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
            yield f"{name}{numbers[0]}..{numbers[-1]}", members[0][1]
        else:
            yield from members


def _natural(item: tuple[str, Json]) -> tuple[str, int]:
    stem, number = re.fullmatch(r"(.*?)(\d*)", item[0]).groups()  # type: ignore[union-attr]
    return stem, int(number or 0)


def _relationships(schema: Json, plurals: Mapping[str, str]) -> Json:
    return {name: _relationship(name, declared, plurals) for name, declared in schema.get("properties", {}).items()}


def _relationship(name: str, declared: Json, plurals: Mapping[str, str]) -> Json:
    """Read one relationship; where only a link is declared, its name tells arity and target."""
    description = declared.get("description", "")
    members = declared.get("properties", {})
    data = members.get("data", {})
    if data:
        many = data.get("type") == "array"
        targets = data.get("items", data)["properties"]["type"].get("enum", [])
    else:
        many = "links" in members and name in plurals.values()
        named = {**{plural: singular for singular, plural in plurals.items()}, "owner": "user"}.get(name, name)
        targets = [named] if named in plurals else []
    return {
        **({"many": True} if many else {}),
        "targets": targets,
        **({"has_data": True} if data else {}),
        **({"has_links": True} if "links" in members else {}),
        **({"read_only": True} if "badges/readonly.svg" in description else {}),
        **_filter(description),
    }


def _filter(description: str) -> Json:
    if "cannot be used as a filter" in description:
        return {"filter": []}
    if "any filterable attribute" in description:
        return {"filter": ["*"]}
    named = re.search(r"You can use (?:only the )?attributes? (.+?) to filter", description)
    return {"filter": re.split(r", | and ", named[1])} if named else {}


if __name__ == "__main__":
    sys.exit(write_catalog(sys.argv[1:]))
