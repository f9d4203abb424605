"""The AsyncAPI 3.0 document, generated from the registered namespaces and their pydantic models.

A channel is a namespace. What clients send are operations that the server receives, with their acks as replies; what the
server emits are operations that it sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel, Field, JsonValue
from pydantic.json_schema import models_json_schema

from server.errors import CODES
from server.realtime.namespace import Namespace, SocketCommand
from server.web.described import Schemas
from server.web.docs import json_document

PATH: Final = "/api/asyncapi.json"

_REF: Final = "#/components/schemas/{model}"
_CODES: Final[list[JsonValue]] = [*sorted(CODES)]
_ALWAYS: Final = ("INTERNAL", "RATE_LIMITED", "UNAVAILABLE", "VALIDATION_FAILED")

_INTRODUCTION: Final = """\
The live half of the marketplace over Socket.IO (protocol 5, Engine.IO 4), path `/socket.io/`, WebSocket or polling.

Connect to a namespace with `auth: {token}`. A bad or expired token is refused with `connect_error`, whose message is
`UNAUTHENTICATED`. Every command takes one object and is acknowledged: `{ok: true, ...}` or `{ok: false, error}`; an unknown one
with `UNKNOWN_COMMAND`. The commands of one connection are handled in order.
A user who sends too many is answered `RATE_LIMITED`, with `details.retry_after_ms`.
A stream is a dense sequence of events 1, 2, 3 ...; a client that holds the last `seq` it saw resumes with `subscribe` and
`after` on any instance, and gets what it missed in order, once. The same streams over HTTP: see `/api/openapi.json`.
"""

_References = Mapping[Any, Any]
"""(model, mode) -> a schema that refers to the components."""


class Fault(BaseModel):
    """Why a command failed."""

    code: str = Field(description="stable, for programs", json_schema_extra={"enum": _CODES})
    message: str = Field(description="one sentence for people")
    retryable: bool = Field(description="whether the same command, with the same key, can succeed later")
    details: dict[str, Any] | None = Field(
        None, description="facts for programs: `errors` [{loc, msg}], `min_next`, `retry_after_ms`"
    )


class Failure(BaseModel):
    """The negative ack of any command."""

    ok: Literal[False]
    error: Fault


def describe(namespaces: Iterable[Namespace], version: str) -> dict[str, Any]:
    """The AsyncAPI document of these namespaces."""
    ordered = sorted(namespaces, key=lambda namespace: namespace.name)
    references, schemas = _schemas(ordered)
    operations: dict[str, Any] = {}
    for namespace in ordered:
        operations |= _operations(namespace)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Rialto", "version": version, "description": _INTRODUCTION, "license": {"name": "MIT"}},
        "defaultContentType": "application/json",
        "servers": {
            "rialto": {
                "host": "localhost:8080",
                "pathname": "/socket.io/",
                "protocol": "socket.io",
                "protocolVersion": "5",
                "description": "Any instance; `localhost:8080` is where `make run` puts the first",
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            }
        },
        "channels": {_id(namespace): _channel(namespace, references) for namespace in ordered},
        "operations": operations,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "the access token, sent as `auth: {token}` when a namespace is connected",
                }
            },
        },
    }


def asyncapi_routes(namespaces: Iterable[Namespace], version: str) -> list[web.RouteDef]:
    """Where the document is served."""
    return [web.get(PATH, json_document(describe(namespaces, version)))]


def error_codes(command: SocketCommand) -> list[str]:
    """Every code that the ack of a command may carry."""
    return sorted({*_ALWAYS, *command.errors}, key=lambda code: (CODES[code].status, code))


def _id(namespace: Namespace) -> str:
    return namespace.name.strip("/")


def _schemas(namespaces: list[Namespace]) -> tuple[_References, dict[str, Any]]:
    wanted: dict[tuple[type[BaseModel], Literal["validation", "serialization"]], None] = {
        (Failure, "serialization"): None
    }
    for namespace in namespaces:
        for command in namespace.commands:
            wanted[command.body, "validation"] = None
            wanted[command.answer, "serialization"] = None
        for event in namespace.events:
            wanted[event.model, "serialization"] = None
    references, document = models_json_schema(list(wanted), ref_template=_REF, schema_generator=Schemas)
    return references, document.get("$defs", {})


def _channel(namespace: Namespace, references: _References) -> dict[str, Any]:
    messages: dict[str, Any] = {}
    for command in namespace.commands:
        messages[command.event] = {
            "name": command.event,
            "summary": command.summary,
            "payload": references[command.body, "validation"],
        }
        messages[_ack(command)] = _ack_message(command, references)
    for event in namespace.events:
        messages[_emitted(event.event)] = {
            "name": event.event,
            "summary": event.summary,
            "payload": references[event.model, "serialization"],
        }
    access = "Also without a token, read-only." if namespace.anonymous else "Only with a token."
    return {
        "address": namespace.name,
        "title": f"Namespace {namespace.name}",
        "description": f"{namespace.description} {access}".strip(),
        "servers": [{"$ref": "#/servers/rialto"}],
        "messages": messages,
    }


def _ack_message(command: SocketCommand, references: _References) -> dict[str, Any]:
    success = {"type": "object", "properties": {"ok": {"const": True}}, "required": ["ok"]}
    codes = error_codes(command)
    return {
        "name": f"{command.event} ack",
        "summary": f"Ack of {command.event}",
        "description": "Error codes: " + " · ".join(f"`{code}`: {CODES[code].title}" for code in codes),
        "payload": {
            "oneOf": [
                {"allOf": [success, references[command.answer, "serialization"]]},
                references[Failure, "serialization"],
            ]
        },
        "x-error-codes": codes,
    }


def _operations(namespace: Namespace) -> dict[str, Any]:
    name = _id(namespace)
    channel = {"$ref": f"#/channels/{name}"}
    operations: dict[str, Any] = {}
    for command in namespace.commands:
        operations[f"{name}.{command.event}"] = {
            "action": "receive",
            "channel": channel,
            "summary": command.summary,
            "messages": [_message(name, command.event)],
            "reply": {"channel": channel, "messages": [_message(name, _ack(command))]},
        }
    for event in namespace.events:
        operations[f"{name}.{_emitted(event.event)}"] = {
            "action": "send",
            "channel": channel,
            "summary": event.summary,
            "messages": [_message(name, _emitted(event.event))],
        }
    return operations


def _message(channel: str, message: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel}/messages/{message}"}


def _ack(command: SocketCommand) -> str:
    return f"{command.event}.ack"


def _emitted(event: str) -> str:
    """Beside a command of the same name, such as `typing` of /chat, which is sent both ways."""
    return f"emitted.{event}"
