"""Texts of messages, to be searched."""

from __future__ import annotations

from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, TEXT, IndexModel


class Message(Document):
    """A read model of one message; what is shown comes from the stream.

    Attributes:
        id: `<room>#<seq>`.
        seq: of the message. version: seq of the event that gave it this text.
        text: as of the last edit; empty once it was deleted.
    """

    id: str  # type: ignore[assignment]
    room: str
    seq: int
    version: int
    text: str

    class Settings:
        """Words are looked for within one room, in whatever language: neither stems nor stop words."""

        name = "messages"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel(
                [("room", ASCENDING), ("text", TEXT)],
                name="room_text",
                default_language="none",
                language_override="text_language",
            )
        ]
