"""The OpenAPI 3.1 document, generated from the routes and their pydantic models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.errors import CODES
from server.web.described import Schemas
from server.web.problems import CONTENT_TYPE, Problem
from server.web.router import Route

_REF: Final = "#/components/schemas/{model}"

_INTRODUCTION: Final = """\
A real-time marketplace: jobs, live auctions, and everything live as a durable stream.

Times are RFC 3339 UTC with milliseconds, money is an integer `amount` in minor units beside an ISO 4217 `currency`.
Failures are `application/problem+json` with a stable `code`; `retryable` says whether the same request can succeed later.
Mutations accept `Idempotency-Key`: the same key and request get the same answer (`Idempotency-Replayed: true`) for 24 hours,
and another request with that key is refused with `IDEMPOTENCY_MISMATCH`.
Who asks too often is answered 429 `RATE_LIMITED`, with `Retry-After` and `details.retry_after_ms`.
The same streams are served over Socket.IO; see `/api/asyncapi.json`.
"""

_KEY_HEADER: Final[Mapping[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "made by the client, 1 to 200 printable ASCII characters; the same for each retry of this request",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}

_References = Mapping[Any, Any]
"""(model, mode) -> a schema that refers to the components."""


def describe(routes: Iterable[Route], version: str, server_url: str = "/") -> dict[str, Any]:
    """The OpenAPI document of these routes.

    Args:
        version: of the application. server_url: where the API is, for clients made from the document.
    """
    ordered = sorted(routes, key=lambda route: (route.template, route.method))
    references, schemas = _schemas(ordered)
    paths: dict[str, dict[str, Any]] = {}
    for route in ordered:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, references)
    tags = sorted({tag for route in ordered for tag in route.tags})
    return {
        "openapi": "3.1.0",
        "info": {"title": "Rialto", "version": version, "description": _INTRODUCTION, "license": {"name": "MIT"}},
        "servers": [{"url": server_url}],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def problem_codes(route: Route) -> list[str]:
    """Every code that a route may answer: those it names and those that its shape implies."""
    codes = {"INTERNAL", "UNAVAILABLE", "BAD_REQUEST", "RATE_LIMITED", *route.errors}
    if route.auth != "none":
        codes.add("UNAUTHENTICATED")
    if route.admin:
        codes.add("FORBIDDEN")
    if route.path_parameters:
        codes.add("NOT_FOUND")
    if route.body is not None:
        codes |= {"MALFORMED_JSON", "VALIDATION_FAILED", "TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"}
    if route.query is not None or route.needs_key or route.mutates:
        codes.add("VALIDATION_FAILED")
    if route.mutates:
        codes.add("TOO_LARGE")
    if route.stores_answers or route.needs_key or route.own_key:
        codes.add("IDEMPOTENCY_MISMATCH")
    return sorted(codes, key=lambda code: (CODES[code].status, code))


def _schemas(routes: list[Route]) -> tuple[_References, dict[str, Any]]:
    wanted: dict[tuple[type[BaseModel], Literal["validation", "serialization"]], None] = {
        (Problem, "serialization"): None
    }
    for route in routes:
        if route.body is not None:
            wanted[route.body, "validation"] = None
        if route.answer is not None:
            wanted[route.answer, "serialization"] = None
    references, document = models_json_schema(list(wanted), ref_template=_REF, schema_generator=Schemas)
    return references, document.get("$defs", {})


def _operation(route: Route, references: _References) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _operation_id(route),
        "tags": list(route.tags),
        "parameters": _parameters(route),
        "responses": _responses(route, references),
    }
    if route.description:
        operation["description"] = route.description
    if route.body is not None:
        required = any(field.is_required() for field in route.body.model_fields.values())
        schema = references[route.body, "validation"]
        operation["requestBody"] = {"required": required, "content": {"application/json": {"schema": schema}}}
    if route.auth == "required":
        operation["security"] = [{"bearer": []}]
    elif route.auth == "optional":
        operation["security"] = [{}, {"bearer": []}]
    else:
        operation["security"] = []
    return operation


def _operation_id(route: Route) -> str:
    words = [piece.strip("{}").replace("-", "_") for piece in route.template.split("/")[3:]]
    return "_".join([route.method.lower(), *(word for word in words if word)])


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "maxLength": 256}}
        for name in route.path_parameters
    ]
    if route.query is not None:
        parameters += _query_parameters(route.query)
    if route.stores_answers or route.needs_key or route.own_key:
        parameters.append({**_KEY_HEADER, "required": route.needs_key})
    return parameters


def _query_parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    schema = query.model_json_schema(ref_template=_REF)
    if "$defs" in schema:
        raise TypeError(f"{query.__name__}: a query string has no nested models")
    required = schema.get("required", [])
    parameters = []
    for name, described in schema.get("properties", {}).items():
        field = dict(described)
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": name in required}
        if text := field.pop("description", None):
            parameter["description"] = text
        field.pop("title", None)
        parameter["schema"] = _without_null(field)
        parameters.append(parameter)
    return parameters


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query string cannot carry null: an optional parameter is left out."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if schema.get("default", 0) is None:
        schema = {name: value for name, value in schema.items() if name != "default"}
    if len(options) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**options[0], **rest}


def _responses(route: Route, references: _References) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    headers = {"X-Request-Id": {"description": "id of this request in the logs", "schema": {"type": "string"}}}
    content: dict[str, Any] = {media: {"schema": {"type": "string"}} for media in route.media}
    if route.answer is not None:
        content["application/json"] = {"schema": references[route.answer, "serialization"]}
    status = 204 if route.status == 200 and not content else route.status
    responses[str(status)] = {"description": HTTPStatus(status).phrase, "headers": headers}
    if content:
        responses[str(status)]["content"] = content
    by_status: dict[int, list[str]] = {}
    for code in problem_codes(route):
        by_status.setdefault(CODES[code].status, []).append(code)
    for status, codes in by_status.items():
        responses[str(status)] = {
            "description": " · ".join(f"`{code}`: {CODES[code].title}" for code in codes),
            "headers": headers,
            "content": {CONTENT_TYPE: {"schema": references[Problem, "serialization"]}},
        }
    return responses
