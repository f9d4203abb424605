"""How much one client may ask for: token buckets per address, per user, and per user and command.

What guards accounts must hold wherever the next guess arrives, so its buckets are in Redis; the rest is a matter of each instance
and costs no round trip. Everything is taken before a body is read or a packet parsed, so that a flood is refused cheaply.
"""

from __future__ import annotations

import math
from typing import Final

from server.errors import AppError
from server.limits.address import counted
from server.limits.buckets import Buckets, RedisSource, SharedBuckets
from server.limits.rate import Rate
from server.metrics import RATE_LIMITED
from server.settings import Settings

CONNECT: Final = "connect"
"""In the rates of commands: entering a namespace, per transport."""

OTHER: Final = "*"

SHARED_BY: Final = 10
"""People whom one address may stand for: sockets without a login are told apart by nothing else."""


class Limits:
    """All limits of this process, by the settings.

    Args:
        redis: where the limits on accounts hold for all instances.
    """

    def __init__(self, settings: Settings, redis: RedisSource | None) -> None:
        self.on = settings.rate_limits
        self._own = Buckets()
        self._shared = SharedBuckets(redis, self._own)
        self._auth = Rate.parse(settings.rate_auth)
        self._user = Rate.parse(settings.rate_user)
        self._anonymous = Rate.parse(settings.rate_anonymous)
        self._handshakes = Rate.parse(settings.rate_handshakes)
        self._commands = {name: Rate.parse(text) for name, text in settings.rate_commands.items()}
        self._found: dict[tuple[str, str], tuple[Rate, Rate]] = {}

    async def guess(self, address: str) -> None:
        """Count a request that could be a guess at somebody's account: everything below /auth that takes no token.

        Raises:
            AppError: RATE_LIMITED.
        """
        if self.on and (wait := await self._shared.take(f"auth:{counted(address)}", self._auth)):
            raise _refused("auth", wait)

    def request(self, user: str | None, address: str) -> None:
        """Count a REST request of a user, or of an address when there is none.

        Raises:
            AppError: RATE_LIMITED.
        """
        if not self.on:
            return
        if user is not None:
            if wait := self._own.take(("user", user), self._user):
                raise _refused("user", wait)
        elif wait := self._own.take(("address", counted(address)), self._anonymous):
            raise _refused("anonymous", wait)

    def handshake(self, address: str) -> None:
        """Count a socket being opened.

        Raises:
            AppError: RATE_LIMITED.
        """
        if self.on and (wait := self._own.take(("handshake", counted(address)), self._handshakes)):
            raise _refused("handshake", wait)

    def connect(self, session: str) -> None:
        """Count a transport that enters a namespace.

        Raises:
            AppError: RATE_LIMITED.
        """
        if self.on and (wait := self._own.take((CONNECT, session), self._commands[CONNECT])):
            raise _refused("connect", wait)

    def command(self, user: str | None, address: str, namespace: str, event: str) -> AppError | None:
        """Count a command of a user, or of an address; the refusal if it is one too many, for the caller to answer."""
        if not self.on:
            return None
        one, many = self._found.get((namespace, event)) or self._find(namespace, event)
        if user is not None:
            wait = self._own.take((user, namespace, event), one)
        else:
            wait = self._own.take(("", counted(address), namespace, event), many)
        return _refused("command", wait) if wait else None

    def _find(self, namespace: str, event: str) -> tuple[Rate, Rate]:
        """The rates of a command for a user and for an address; names are few, so they are kept."""
        rates = self._commands
        rate = rates.get(f"{namespace} {event}") or rates.get(event) or rates[OTHER]
        self._found[namespace, event] = found = (rate, rate.times(SHARED_BY))
        return found


def _refused(scope: str, wait_s: float) -> AppError:
    RATE_LIMITED.labels(scope).inc()
    return AppError("RATE_LIMITED", details={"retry_after_ms": max(1, math.ceil(wait_s * 1000))})
