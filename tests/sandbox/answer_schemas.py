"""The vendor's own schemas, made strict: what nothing in this project wrote."""

import json
from typing import Any

import jsonschema

from outreach_frames import catalog

MEDIA_TYPE = "application/vnd.api+json"


def strict_document(path: Any) -> Any:
    """
    Return the vendor's document with its schemas as JSON Schema, and strict: nothing undeclared may be sent.

    A few lengths are taken out, being shorter than the values that the same schema names (``primaryReplyAction``: four
    characters, for ``finish``).
    """
    document = strict(json.loads(path.read_text()))
    for name, schema in document["components"]["schemas"].items():
        if f"{name}Response" in document["components"]["schemas"] or name.endswith("Relationships"):
            schema["additionalProperties"] = False
    for kind in catalog.load().types.values():
        for attribute in kind.attributes.values():
            if any(len(str(value)) > (attribute.max_length or 255) for value in attribute.enum):
                del document["components"]["schemas"][kind.name]["properties"][attribute.name]["maxLength"]
    return document


def strict(schema: Any) -> Any:
    """Return a schema with OpenAPI 3.0's ``nullable`` in JSON Schema's words, and objects that must be objects."""
    if isinstance(schema, list):
        return [strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: strict(value) for key, value in schema.items()}
    if "properties" in schema:
        changed.setdefault("type", "object")
    if schema.get("nullable") is True:
        changed["type"] = [schema["type"], "null"]
    return changed


def validator(document: Any, path: str, method: str = "get", status: int = 200) -> jsonschema.Draft4Validator:
    """Return a validator of the answers that the contract declares for a path."""
    answer = document["paths"][path][method]["responses"][str(status)]["content"][MEDIA_TYPE]["schema"]
    return jsonschema.Draft4Validator(answer | {"components": document["components"]})


def body_validator(document: Any, path: str, method: str) -> jsonschema.Draft4Validator:
    """Return a validator of the bodies that the contract declares for a path."""
    body = document["paths"][path][method]["requestBody"]["content"][MEDIA_TYPE]["schema"]
    return jsonschema.Draft4Validator(body | {"components": document["components"]})
