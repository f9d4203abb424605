"""The described events are the events that come out: exactly these fields, of these types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings
from jsonschema import Draft7Validator
from pydantic import TypeAdapter, ValidationError

from handlers.chat.events import RoomEvent
from handlers.chat.schemas import MessageItem, RoomSummary, RoomView
from models.rules.room import fold
from models.rules.stream import Command
from server.web.asyncapi import describe
from tests.handlers.chat.conftest import Chat
from tests.handlers.market import Person
from tests.models.rules.room import test_machine
from tests.models.rules.room.rooms import Room

EVENTS: TypeAdapter[Any] = TypeAdapter(RoomEvent)
OPTIONAL = {"reply_to", "mentions", "role"}


def check(events: Iterable[dict[str, Any]]) -> None:
    """Each is as described, and the description loses nothing of it."""
    for event in events:
        model = EVENTS.validate_json(orjson.dumps(event))
        assert orjson.loads(model.model_dump_json(exclude_unset=True)) == event


class Described(test_machine.Conversation):
    """The random rooms of the rules' own test, whose events are described."""

    def teardown(self) -> None:
        """Look at all of them at the end."""
        check(self.room.wires())


TestDescribed = Described.TestCase
TestDescribed.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def courses() -> list[Room]:
    """Rooms in which everything has happened once."""
    job = Room("job")
    job.join("ann", "Guest aaaaaa")
    job.join("bob")
    seq = job.send("ann", "@client?")
    job.send("client", "Yes", reply_to=seq)
    job.do("edit", "ann", seq=seq, text="@client!")
    job.do("react", "bob", seq=seq, emoji="👍", on=True)
    job.do("react", "bob", seq=seq, emoji="👍", on=False)
    job.do("delete", "ann", seq=seq)
    job.moderate("delete", seq=seq + 1)
    job.command(Command("reveal", "system"))
    job.do("remove", "client", user="ann")
    job.moderate("remove", user="bob")
    return [job, Room("dm"), Room("contract")]


def test_every_type_is_described_and_every_description_is_met() -> None:
    events = [event for room in courses() for event in room.wires()]
    check(events)
    assert {event["type"] for event in events} == set(fold._FOLDS)
    assert {event["kind"] for event in events if event["type"] == "opened"} == {"dm", "job", "contract"}


def test_a_field_more_or_less_is_not_as_described() -> None:
    for event in [event for room in courses() for event in room.wires()]:
        with pytest.raises(ValidationError):
            EVENTS.validate_python({**event, "user_id": "ann"})
        for name in event:
            rest = {field: value for field, value in event.items() if field != name}
            if name in OPTIONAL:
                EVENTS.validate_python(rest)
            else:
                with pytest.raises(ValidationError):
                    EVENTS.validate_python(rest)


async def test_what_the_chat_sends_is_what_the_document_says(
    market: Chat, room: str, client: Person, ann: Person, moderator: Person
) -> None:
    seq = await market.said(client, room, f"Hello @{ann.id}")
    await market.said(ann, room, "Hello", reply_to=seq)
    await market.edit(client, room, seq, "Hullo")
    await market.react(ann, room, seq, "👍")
    await market.delete(moderator, room, seq + 1)
    events = await market.events(client, room)
    check(events)
    document = describe(market.context.sockets, "1")
    payload = document["channels"]["chat"]["messages"]["emitted.events"]["payload"]
    schema = Draft7Validator({**payload, "components": document["components"]})
    schema.validate({"stream": f"room:{room}", "events": events, "seq": events[-1]["seq"]})
    assert not schema.is_valid({"stream": f"room:{room}", "events": [{**events[0], "extra": 1}], "seq": 1})
    shown = await market.look(client, room)
    described = RoomView.model_validate(shown).model_dump(exclude_unset=True)
    assert described == shown
    for item in await market.items(client, room):
        assert MessageItem.model_validate(item).model_dump(exclude_unset=True) == item
    _, page = await market.call("GET", "/rooms", client)
    assert [RoomSummary.model_validate(each).model_dump(exclude_unset=True) for each in page["items"]] == page["items"]
