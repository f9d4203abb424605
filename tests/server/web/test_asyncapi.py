"""The AsyncAPI document: valid by the specification's own schema, and true to what is registered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import orjson
import pytest
from aiohttp import ClientSession
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import BaseModel, Field

from server.realtime import Namespace
from server.web.asyncapi import PATH, asyncapi_routes, describe
from tests.contract import node
from tests.server.realtime.conftest import Market, Open, open_market

__all__ = ["open_market"]  # the fixture of the socket edge's tests


class Typing(BaseModel):
    """Sent both ways."""

    room: str
    on: bool


class Begun(BaseModel):
    """The room is there."""

    type: Literal["begun"]
    kind: Literal["dm"]


class Renewed(BaseModel):
    """The room is there again."""

    type: Literal["begun"]
    kind: Literal["job"]


class Message(BaseModel):
    """Somebody said something."""

    type: Literal["message"]
    text: str


RoomEvent = Annotated[Annotated[Begun | Renewed, Field(discriminator="kind")] | Message, Field(discriminator="type")]


async def nothing(connection: Any, body: BaseModel) -> dict[str, Any]:
    return {}


@pytest.fixture
async def document(open_market: Open) -> dict[str, Any]:
    def prepare(market: Market) -> None:
        chat = market.sockets.add(Namespace("/chat", carries=(RoomEvent,), description="Rooms."))
        chat.command("typing", Typing, nothing, answer=Typing, summary="Say that one types", errors=("FORBIDDEN",))
        chat.emits("typing", Typing, "Somebody types")

    market = await open_market(prepare=prepare)
    return orjson.loads(orjson.dumps(describe(market.sockets, "1.2.3")))  # type: ignore[no-any-return]


def references(node: Any) -> Iterator[str]:
    """Every `$ref` below a node."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def follow(document: Any, reference: str) -> Any:
    """What a local reference points to."""
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


async def test_document_is_valid_by_the_specification(document: dict[str, Any]) -> None:
    modules = await asyncio.to_thread(node.packages, node.FOLDER)
    schema = orjson.loads((modules / "@asyncapi/specs/schemas/3.0.0-without-$id.json").read_bytes())
    problems = [f"{list(error.path)}: {error.message}" for error in Draft7Validator(schema).iter_errors(document)]
    assert problems == []


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert len(found) > 20
    for reference in found:
        assert follow(document, reference)


async def test_operations_use_messages_of_their_channel(document: dict[str, Any]) -> None:
    for operation in document["operations"].values():
        for part in (operation, operation.get("reply", operation)):
            assert all(message["$ref"].startswith(part["channel"]["$ref"] + "/") for message in part["messages"])


async def test_what_is_registered_is_described(document: dict[str, Any]) -> None:
    assert set(document["channels"]) == {"chat", "market", "members"}
    assert document["channels"]["chat"]["address"] == "/chat"
    assert document["channels"]["chat"]["description"] == "Rooms. Only with a token."
    common = {"subscribe", "unsubscribe", "sync_time"}
    for name in ("chat", "members", "market"):
        assert common <= {key.partition(".")[2] for key in document["operations"] if key.startswith(f"{name}.")}
    assert document["operations"]["chat.typing"]["action"] == "receive"
    assert document["operations"]["chat.emitted.typing"]["action"] == "send"
    acknowledged = document["channels"]["chat"]["messages"]["typing.ack"]
    always = {"INTERNAL", "RATE_LIMITED", "UNAVAILABLE", "VALIDATION_FAILED"}
    assert {"FORBIDDEN", *always} == set(acknowledged["x-error-codes"])


async def test_events_of_streams_are_described_where_they_are_known(document: dict[str, Any]) -> None:
    def items(channel: str, message: str) -> dict[str, Any]:
        payload = document["channels"][channel]["messages"][message]["payload"]
        success = payload["oneOf"][0]["allOf"][1] if "oneOf" in payload else payload
        return follow(document, success["$ref"])["properties"]["events"]["items"]  # type: ignore[no-any-return]

    for message in ("emitted.events", "subscribe.ack"):
        kinds = items("chat", message)["oneOf"]
        assert [kind["$ref"].rpartition("/")[2] for kind in kinds] == ["Begun", "Renewed", "Message"]
        assert items("market", message) == {"type": "object", "additionalProperties": True}


async def test_real_acks_fit_their_schema(open_market: Open) -> None:
    market = await open_market()
    await market.add("tally:a")
    described = describe(market.sockets, "1")
    wire = await market.member()
    sent: dict[str, dict[str, Any]] = {
        "subscribe": {"stream": "tally:a", "after": 0},
        "unsubscribe": {"stream": "tally:a"},
        "sync_time": {"t0": 1},
        "add": {"stream": "tally:a", "n": 1},
        "crash": {},
    }
    for command, body in sent.items():
        answer = await wire.command(command, body)
        messages = described["channels"]["market"]["messages"]
        for payload, value in ((messages[command]["payload"], body), (messages[f"{command}.ack"]["payload"], answer)):
            Draft202012Validator({**payload, "components": described["components"]}).validate(value)


async def test_document_is_served(open_market: Open) -> None:
    def prepare(market: Market) -> None:
        market.app.add_routes(asyncapi_routes(market.sockets, "1.2.3"))

    market = await open_market(prepare=prepare)
    async with ClientSession() as http, http.get(market.url + PATH) as response:
        assert response.content_type == "application/json"
        assert (await response.json())["info"]["version"] == "1.2.3"
