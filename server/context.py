"""What a feature's `setup(context)` is given: the parts of one process, not yet started."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from beanie import Document
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from server.auth.revocation import Revocations
from server.auth.tokens import Tokens
from server.clock import Clock
from server.limits.limits import Limits
from server.operations import Operations
from server.realtime import Sockets
from server.settings import Settings
from server.streams.followers import Followers
from server.streams.hub import Hub
from server.streams.redis_link import RedisLink
from server.streams.streams import Streams
from server.web.router import Router


@dataclass
class Context:
    """The parts of one process.

    Attributes:
        documents: Beanie documents, whose indexes are made before the process serves.
        followers: readers of events; run in the worker role.
        tasks: by name, what else the worker role runs until it is cancelled; each must bear being run by several workers.
    """

    settings: Settings
    instance: str
    clock: Clock
    client: AsyncMongoClient[dict[str, Any]]
    db: AsyncDatabase[dict[str, Any]]
    redis: RedisLink
    streams: Streams
    followers: Followers
    tokens: Tokens
    revocations: Revocations
    router: Router
    limits: Limits
    sockets: Sockets
    operations: Operations
    documents: list[type[Document]] = field(default_factory=list)
    tasks: dict[str, Callable[[Context], Awaitable[None]]] = field(default_factory=dict)

    @property
    def hub(self) -> Hub:
        """Delivery on this instance."""
        return self.streams.hub
