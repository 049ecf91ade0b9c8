"""The vendor's OpenAPI document as a judge: which operations there are, what answers look like, what may be asked."""

import copy
import datetime as dt
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd

MEDIA_TYPE = "application/vnd.api+json"
SAMPLES = {"string": 'é, "Null"\n007', "integer": 3, "number": 2.5, "boolean": True, "object": {"a": [1, None]}}
FORMATS = {"date-time": "2025-01-01T09:00:00.123Z", "date": "2025-01-01", "email": "ana@example.com"}

Schema = dict[str, Any]


class Contract:
    """
    What the document says, read from the document alone.

    Parameters
    ----------
    path
        Where it lies.
    """

    def __init__(self, path: Path) -> None:
        self._document = json.loads(path.read_text(encoding="utf-8"))
        self._schemas: dict[str, Schema] = self._document["components"]["schemas"]

    def has(self, method: str, path: str) -> bool:
        """Whether an operation is declared for a path below the base."""
        steps = path.strip("/").split("/")
        for template, operations in self._document["paths"].items():
            declared = template.strip("/").split("/")
            fits = len(declared) == len(steps) and all(d in {s, "{id}"} for d, s in zip(declared, steps, strict=True))
            if fits and method.lower() in operations:
                return True
        return False

    @cached_property
    def listable(self) -> dict[str, str]:
        """The collection of every type that can be listed, by its name."""
        return {
            self._element(path): path
            for path, operations in self._document["paths"].items()
            if "get" in operations and "{" not in path
        }

    @cached_property
    def readable(self) -> dict[str, str]:
        """The collection of every type of which one can be read, by its name."""
        return {
            self._response(path)["properties"]["data"]["$ref"]
            .rpartition("/")[2]
            .removesuffix("Response"): path.rpartition("/")[0]
            for path, operations in self._document["paths"].items()
            if "get" in operations and path.endswith("/{id}")
        }

    def _element(self, path: str) -> str:
        reference: str = self._response(path)["properties"]["data"]["items"]["$ref"]
        return reference.rpartition("/")[2].removesuffix("Response")

    def _response(self, path: str) -> Schema:
        schema: Schema = self._document["paths"][path]["get"]["responses"]["200"]["content"][MEDIA_TYPE]["schema"]
        return schema

    def attributes(self, type_name: str) -> dict[str, Schema]:
        """Return the declared attributes of a type."""
        declared: dict[str, Schema] = self._schemas[type_name]["properties"]
        return declared

    def relationships(self, type_name: str) -> dict[str, Schema]:
        """Return the declared relationships of a type, each as the schema of its members."""
        schema = self._schemas.get(f"{type_name}Relationships", {})
        return {name: value.get("properties", {}) for name, value in schema.get("properties", {}).items()}

    def is_write_only(self, type_name: str, attribute: str) -> bool:
        """Whether an attribute is never sent."""
        return "writeonly" in self.attributes(type_name)[attribute].get("x-badges", ())

    def has_badge(self, type_name: str, attribute: str, badge: str) -> bool:
        """Whether an attribute can be filtered or sorted by."""
        return badge in self.attributes(type_name)[attribute].get("x-badges", ())

    # Judging answers

    def check(self, path: str, document: Any) -> None:
        """Raise `jsonschema.ValidationError` unless a document is what the contract declares for a path."""
        template = path if path in self._document["paths"] else f"{path.rpartition('/')[0]}/{{id}}"
        self._validator(json.dumps(self._response(template))).validate(document)
        for resource in document.get("included", ()):
            self._validator(json.dumps({"$ref": f"#/components/schemas/{resource['type']}Response"})).validate(resource)

    def _validator(self, schema: str) -> jsonschema.Draft4Validator:
        return jsonschema.Draft4Validator(json.loads(schema) | {"components": {"schemas": self._strict}})

    @cached_property
    def _strict(self) -> dict[str, Schema]:
        """The schemas as JSON Schema that accepts nothing undeclared."""
        schemas: dict[str, Schema] = _in_json_schema(copy.deepcopy(self._schemas))
        for name, schema in schemas.items():
            if f"{name}Response" in schemas or name.endswith("Relationships"):
                schema["additionalProperties"] = False
            for attribute in schema.get("properties", {}).values():
                attribute.pop("maxLength", None)  # shorter here and there than values that the same schema names
        return schemas

    # Making resources

    def filled(self, type_name: str, id_: int | str) -> Schema:
        """Return a resource with a value in every attribute and linkage in every relationship."""
        return {
            "type": type_name,
            "id": id_,
            "attributes": {name: _value(schema) for name, schema in self.attributes(type_name).items()},
            "relationships": {
                name: {"data": _linkage(members["data"])}
                for name, members in self.relationships(type_name).items()
                if "data" in members
            },
        }


def as_sent(schema: Schema, value: Any) -> Any:
    """Return a value of the API's as what a frame should hold."""
    if value is None or _is_nested(schema):
        return value
    if schema.get("format") == "date-time":
        return pd.Timestamp(value)
    return dt.date.fromisoformat(value) if schema.get("format") == "date" else value


def in_frame(schema: Schema, value: Any) -> Any:
    """Return a frame's value in the same form; what is nested is JSON text there."""
    if schema["type"] == "array" and not _is_nested(schema):
        return None if value is None or value is pd.NA else list(value)
    if pd.isna(value):
        return None
    return json.loads(value) if _is_nested(schema) else value


def _is_nested(schema: Schema) -> bool:
    return schema["type"] == "object" or (schema["type"] == "array" and schema["items"].get("type") != "string")


def _in_json_schema(schema: Any) -> Any:
    """Return a schema with OpenAPI 3.0's ``nullable`` in JSON Schema's words, and objects that must be objects."""
    if isinstance(schema, list):
        return [_in_json_schema(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _in_json_schema(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "$ref" not in schema:
        changed.setdefault("type", "object")
    if schema.get("nullable") is True:
        changed["type"] = [schema["type"], "null"]
    return changed


def _value(schema: Schema) -> Any:
    if schema["type"] == "array":
        return [_value(schema["items"])] if "type" in schema["items"] else [[0, 1]]
    return FORMATS.get(schema.get("format", "")) or SAMPLES[schema["type"]]


def _linkage(schema: Schema) -> Any:
    if schema.get("type") == "array":
        return [_identifier(schema["items"], 4), _identifier(schema["items"], 5)]
    return _identifier(schema, 4)


def _identifier(schema: Schema, id_: int) -> Schema:
    return {"type": schema["properties"]["type"]["enum"][-1], "id": id_}
