"""Keeping the public stream of a hidden format level with its stream of truth (models.rules.auction.projection)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from models.rules.auction.naming import auction_id, public_stream
from models.rules.auction.projection import project_command, projected_seq, public_part
from server.errors import AppError
from server.streams.event import StoredEvent
from server.streams.streams import Streams

log = structlog.get_logger(__name__)

_PAGE: Final = 500
_TRIES: Final = 20


class Projection:
    """Brings public parts over, once each, in order. Safe to run anywhere, any number of times at once."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def follow(self, truth: str) -> None:
        """Bring everything over that is missing from a hidden format's stream. Failures are logged: the follower repeats it."""
        try:
            await self.complete(truth)
        except AppError as error:
            log.warning("projection.behind", stream=truth, error=str(error))

    async def complete(self, truth: str) -> None:
        """As `follow`.

        Raises:
            AppError: UNAVAILABLE, or STALE_STATE when others were faster again and again.
        """
        public = public_stream(auction_id(truth))
        for _ in range(_TRIES):
            after = projected_seq((await self._streams.current(public)).state)
            try:
                while events := await self._streams.read(truth, after, _PAGE):
                    for event in events:
                        if public_part(event) is not None:
                            await self._streams.append(public, project_command(event))
                    after = events[-1].seq
            except AppError as error:
                if error.code != "STALE_STATE":
                    raise
            else:
                return
        raise AppError("UNAVAILABLE", "The public stream could not be brought up to date")

    async def react(self, truth: str, events: Sequence[StoredEvent]) -> None:
        """After this instance appended to a stream of truth."""
        if any(public_part(event) is not None for event in events):
            await self.complete(truth)
