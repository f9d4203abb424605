"""Clients are asked to leave a process that ends, a few at a time, so that the others are not run over by all at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from typing import Final, NamedTuple

from pydantic import BaseModel, Field

from server.drain import paced
from server.realtime.peer import Peer

_LONGEST_DELAY_S: Final = 2.0
_LONGEST_GRACE_S: Final = 0.5


class Reconnect(BaseModel):
    """This instance is about to end: connect again, which leads to another, and resume from the last seq."""

    delay_ms: int = Field(description="when; soon after that the server closes the connection itself")


class Pace(NamedTuple):
    """How fast clients are asked to leave, all in seconds.

    Attributes:
        asking: from the first that is asked to the last.
        delay: until when one that was asked shall have gone, at most.
        grace: how much later it is closed.
    """

    asking: float
    delay: float
    grace: float


def pace(count: int, rate: float, limit_s: float) -> Pace:
    """For `count` clients, `rate` a second, unless `limit_s` demands more. A few clients take next to no time."""
    wanted = count / rate
    return Pace(
        asking=min(wanted, limit_s * 0.5),
        delay=min(wanted, limit_s * 0.2, _LONGEST_DELAY_S),
        grace=min(limit_s * 0.1, _LONGEST_GRACE_S),
    )


async def see_off(peers: Collection[Peer], all_gone: asyncio.Event, rate: float, limit_s: float) -> None:
    """Ask each of the peers to leave, and close those that stay; returns when none is left, or after `limit_s`."""
    pacing = pace(len(peers), rate, limit_s)
    try:
        async with asyncio.timeout(limit_s):
            async for some in paced(list(peers), pacing.asking):
                _ask(some, pacing)
            await all_gone.wait()
    except TimeoutError:
        return


def _ask(peers: Collection[Peer], pacing: Pace) -> None:
    loop = asyncio.get_running_loop()
    for peer in peers:
        delay_s = random.uniform(0, pacing.delay)
        peer.announce("reconnect", {"delay_ms": round(delay_s * 1000)})
        loop.call_later(delay_s + pacing.grace, peer.dismiss)
