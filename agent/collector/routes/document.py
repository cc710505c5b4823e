"""The OpenAPI document, made of the operations that are served. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.collector.routes.schemas import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.collector.routes.operation import Operation

_ERRORS = {
    400: "Something of the request is wrong; the message says what.",
    401: "No credentials, or wrong ones.",
    403: "The credentials do not allow it.",
    429: "Too much at once; come again after Retry-After.",
    503: "The database cannot be used; come again after Retry-After.",
}
_BODY_ERRORS = {
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body has an encoding that is not known.",
}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Audits API", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "user": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"token": []}, {"user": []}],
    }


def _operation(operation: Operation) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    in_query = [
        {"name": p.name, "in": "query", "description": p.about, "schema": p.schema()}
        | ({"explode": True, "style": "form"} if p.repeated else {})
        for p in operation.parameters
    ]
    errors = _ERRORS | (_BODY_ERRORS if operation.body else {})
    answers = {
        str(status): _answer(errors.get(status, "The answer."), schema)
        for status, schema in {**dict.fromkeys(errors, "ErrorMessage"), **operation.answers}.items()
    }
    for status in ("429", "503"):
        answers[status]["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    made: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "description": f"Needs the scope {operation.scope}.",
        "parameters": in_path + in_query,
        "responses": dict(sorted(answers.items())),
    }
    if operation.body:
        made["requestBody"] = {"required": True, "content": _content(operation.body)}
    return made


def _answer(about: str, schema: str | None) -> dict[str, Any]:
    return {"description": about} | ({"content": _content(schema)} if schema else {})


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
