"""The vendor's OpenAPI document as the judge of what is written: nothing that it does not declare may be sent."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema

MEDIA_TYPE = "application/vnd.api+json"
CHANGED_BY = {"accountsBulkModify": "account", "prospectsBulkModify": "prospect", "customObjectBulkModify": None}
"""Actions whose bodies hold any attribute of a type; the document says so in prose. None: of whatever type."""

Schema = dict[str, Any]
Operation = tuple[str, str]


class WriteContract:
    """
    Every operation that writes, and what may be sent to it.

    Parameters
    ----------
    path
        Where the document lies.
    """

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        self._schemas = {name: closed(schema) for name, schema in document["components"]["schemas"].items()}
        self._writes = {
            (method.upper(), template): operation
            for template, operations in document["paths"].items()
            for method, operation in operations.items()
            if method != "get"
        }

    @property
    def operations(self) -> set[Operation]:
        """Method and path with its ``{id}`` of each."""
        return set(self._writes)

    def operation(self, method: str, url: str) -> Operation:
        """Return the operation that a request asks for."""
        steps = urlsplit(url).path.strip("/").split("/")
        asked = "/" + "/".join(
            "{id}" if number == 1 and step != "actions" else step for number, step in enumerate(steps)
        )
        return method, asked

    def body(self, operation: Operation) -> Schema | None:
        """Return the schema of an operation's body; None where it takes none."""
        declared = self._writes[operation].get("requestBody")
        if declared is None:
            return None
        schema = closed(declared["content"][MEDIA_TYPE]["schema"])
        action = operation[1].rpartition("/")[2]
        if action in CHANGED_BY:
            attributes = schema["properties"]["data"]["properties"]["attributes"]
            kind = CHANGED_BY[action]
            attributes["properties"] = {"ids": attributes["properties"]["ids"]}
            attributes["properties"] |= self._schemas[kind]["properties"] if kind else {}
            attributes["additionalProperties"] = kind is None
        return schema

    def writable(self, schema: str) -> set[str]:
        """Return the members of a schema of attributes or relationships that the document does not call read-only."""
        declared = self._schemas.get(schema, {}).get("properties", {})
        return {name for name, member in declared.items() if "readonly" not in member.get("x-badges", ())}

    def members(self, operation: Operation) -> dict[str, Schema]:
        """Return what stands among the attributes of an action's body."""
        schema = self.body(operation)
        declared: dict[str, Schema] = (
            schema["properties"]["data"]["properties"]["attributes"]["properties"] if schema else {}
        )
        return declared

    def parameters(self, operation: Operation) -> tuple[set[str], set[str]]:
        """Return the names of an action's parameters, and which of them it must have."""
        declared = [each for each in self._writes[operation].get("parameters", ()) if each["in"] == "query"]
        assert [each["name"] for each in declared] in ([], ["actionParams"])
        schemas = [each["schema"] for each in declared]
        return {n for each in schemas for n in each["properties"]}, {n for s in schemas for n in s.get("required", ())}

    def check(self, operation: Operation, url: str, body: bytes) -> None:
        """Fail unless the query has declared parameters only, and all that must be, and the body is of its schema."""
        declared, required = self.parameters(operation)
        asked = {_parameter(name) for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
        assert required <= asked <= declared, asked
        schema = self.body(operation)
        assert (schema is None) == (body == b"")
        if schema is not None:
            self._validator(schema).validate(json.loads(body))

    def _validator(self, schema: Schema) -> jsonschema.Draft4Validator:
        whole = schema | {"components": {"schemas": self._schemas}}
        return jsonschema.Draft4Validator(whole, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def _parameter(name: str) -> str:
    """Return ``dueAt`` of ``actionParams[dueAt]``, and ``filter`` of ``actionParams[filter][id][]``."""
    head, _, rest = name.partition("[")
    assert head == "actionParams", name
    return rest.partition("]")[0]


def closed(schema: Schema) -> Schema:
    """Return a schema in the words of JSON Schema, whose objects have the declared members and no others."""
    changed = dict(schema)
    if "properties" in schema:
        members = {name: closed(member) for name, member in schema["properties"].items()}
        changed |= {"type": "object", "properties": members, "additionalProperties": False}
    if "items" in schema:
        changed["items"] = closed(schema["items"])
    if schema.get("nullable"):
        changed["type"] = [changed["type"], "null"]
    return changed


def sample(schema: Schema) -> Any:
    """Return a value for a member of an action's body; of some arrays the document does not say what they hold."""
    if "type" not in schema:
        return [0, 1]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if kinds[0] == "array":
        return [sample(schema["items"])]
    by_format = {"date-time": "2026-04-01T09:00:00.123Z", "date": "2026-04-01", "email": "ana@example.com"}
    by_type = {"string": "Ann", "integer": 3, "number": 2.5, "boolean": True, "object": {"name": "Ann"}}
    return by_format.get(schema.get("format", ""), by_type[kinds[0]])
