"""What was said, read back: pages of messages, their versions, and the search for words.

Which messages there are and what became of them is in the state, exactly and without lag; their texts are in the stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pymongo.read_concern import ReadConcern

from handlers.chat.redaction import text_of
from handlers.chat.service import Rooms
from models.event import EventDocument
from models.message import Message
from models.rules.room.columns import Sent
from models.rules.room.fold import written
from models.rules.room.naming import room_stream
from models.rules.room.state import State, Written
from models.rules.room.view import message_view
from server.auth.principal import Principal
from server.clock import to_rfc3339
from server.errors import AppError
from server.streams.event import StoredEvent

_MAJORITY: Final = ReadConcern("majority")


class History:
    """Messages of rooms."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def page(
        self, principal: Principal, room: str, *, before: int | None, after: int | None, limit: int
    ) -> dict[str, Any]:
        """Messages between two seqs, newest last: the newest of them, or with `after` the oldest.

        Returns: `{items, next_cursor, seq}`: `next_cursor` is to be the next `before`, with `after` the next `after`.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN.
        """
        state = await self._rooms.require_reader(principal, room)
        start = 0 if after is None else state.messages.place(after)
        stop = len(state.messages) if before is None else state.messages.place(before - 1)
        if after is None:
            start, more = max(start, stop - limit), stop - limit > 0
        else:
            stop, more = min(stop, start + limit), start + limit < stop
        rows = state.messages.part(start, stop)
        edge = None if not (more and rows) else rows[-1 if after is not None else 0].seq
        return {
            "items": await self._views(room_stream(room), state, rows),
            "next_cursor": None if edge is None else str(edge),
            "seq": state.seq,
        }

    async def search(
        self, principal: Principal, room: str, words: str, *, before: int | None, limit: int
    ) -> dict[str, Any]:
        """Messages with these words, the newest first, as they are now; new ones are found after a moment.

        Returns: `{items, next_cursor}`.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN.
        """
        state = await self._rooms.require_reader(principal, room)
        wanted: dict[str, Any] = {"room": room, "$text": {"$search": words}}
        if before is not None:
            wanted["seq"] = {"$lt": before}
        found = Message.get_pymongo_collection().find(wanted, {"seq": 1}).sort("seq", -1).limit(limit + 1)
        seqs = [message["seq"] async for message in found]
        rows = [sent for seq in seqs[:limit] if (sent := self._standing(state, seq)) is not None]
        return {
            "items": await self._views(room_stream(room), state, rows),
            "next_cursor": str(seqs[limit - 1]) if len(seqs) > limit else None,
        }

    async def versions(self, principal: Principal, room: str, seq: int) -> list[dict[str, Any]]:
        """Every text that a message had, for its author and for moderators, as `texts` gives them.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN.
        """
        state = await self._rooms.require_reader(principal, room)
        sent = state.messages.find(seq)
        if sent is not None and sent.author != state.number(principal.id) and not principal.may_moderate:
            raise AppError("FORBIDDEN", "Versions are for the author and for moderators")
        if sent is None:
            raise AppError("NOT_FOUND", "There is no such message in this room")
        return await self.texts(room, seq)

    async def texts(self, room: str, seq: int) -> list[dict[str, Any]]:
        """Every text that a message had, the first one first: `{seq, t, text}`, `seq` being that of the event. Nobody is asked.

        Raises:
            AppError: NOT_FOUND, UNAVAILABLE.
        """
        state = await self._rooms.state(room)
        if state.messages.find(seq) is None:
            raise AppError("NOT_FOUND", "There is no such message in this room")
        events = await _events(room_stream(room), (seq, *(state.edits.get(seq) or ())))
        return [
            {"seq": event.seq, "t": to_rfc3339(event.t), "text": text_of(event)} for _, event in sorted(events.items())
        ]

    def _standing(self, state: State, seq: int) -> Sent | None:
        """A message that was not deleted."""
        return state.messages.find(seq) if state.deleted.get(seq) is None else None

    async def _views(self, stream: str, state: State, rows: Sequence[Sent]) -> list[dict[str, Any]]:
        """Messages as they are shown, in the order of the rows."""
        older = [sent.seq for sent in rows if sent.seq not in state.recent]
        last_edits = {seq: edits[-1] for seq in older if (edits := state.edits.get(seq))}
        events = await _events(stream, (*older, *last_edits.values()))

        def whole(seq: int) -> Written:
            if (recent := state.recent.get(seq)) is not None:
                return recent
            return written(state, events[seq], events[last_edits[seq]] if seq in last_edits else None)

        return [message_view(state, whole(sent.seq)) for sent in rows]


async def _events(stream: str, seqs: Iterable[int]) -> dict[int, StoredEvent]:
    """Events of a stream by seq; each of them is durable already."""
    wanted = list(seqs)
    if not wanted:
        return {}
    events = EventDocument.get_pymongo_collection().with_options(read_concern=_MAJORITY)
    found = events.find({"stream": stream, "seq": {"$in": wanted}})
    return {document["seq"]: StoredEvent.from_document(document) for document in await found.to_list()}
