"""Taking the words of deleted messages out of what can be read.

A room's stream goes on for ever, and whoever resumes it or joins the room later reads it from its events. So of a deleted message
the events stay, for their seqs, and their texts move from the public to the private fields, where reports find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from models.event import EventDocument
from models.rules.room.state import State
from models.rules.stream import Event
from server.streams.event import StoredEvent
from server.streams.streams import Streams

_MOVE: Final[list[dict[str, Any]]] = [{"$set": {"prv.text": "$pub.text", "pub.text": ""}}]


class Redaction:
    """Follows deletions. Safe to run anywhere, any number of times."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def handle(self, events: Sequence[StoredEvent]) -> None:
        """Redact what these events delete."""
        for event in events:
            if event.type == "deleted":
                await self._redact(event.stream, event.public["message"])

    async def react(self, _stream: str, events: Sequence[StoredEvent]) -> None:
        """After this instance appended."""
        await self.handle(events)

    async def _redact(self, stream: str, seq: int) -> None:
        state: State = (await self._streams.current(stream)).state
        texts = [seq, *(state.edits.get(seq) or ())]
        await EventDocument.get_pymongo_collection().update_many(
            {"stream": stream, "seq": {"$in": texts}, "prv.text": {"$exists": False}}, _MOVE
        )


def text_of(event: Event) -> str:
    """What a `message` or `edited` event says or said."""
    text: str = event.private.get("text", event.public["text"])
    return text
