"""Who is online: told to those who watch a stream in common, over two instances, with Valkey and without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.clock import Clock
from server.dev.valkey import Valkey
from server.realtime import Namespace
from server.realtime.presence import Presence, Seen
from server.streams.redis_link import RedisLink
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.wire import Wire
from tests.waiting import until

HALL = "/hall"
ROOM = "tally:a"
PEOPLE = ("ann", "bob", "cid", "dan")


@pytest.fixture
async def links(clean_redis_url: str) -> AsyncIterator[tuple[RedisLink, RedisLink]]:
    """One for each of two instances."""
    links = RedisLink(clean_redis_url), RedisLink(clean_redis_url)
    for link in links:
        await link.start()
    yield links
    for link in links:
        await link.stop()


@pytest.fixture
def link(links: tuple[RedisLink, RedisLink]) -> RedisLink:
    return links[0]


def members(state: Any) -> Iterator[str]:
    """Of a tally: as many people as its total says."""
    yield from PEOPLE[: state.total]


class Instance:
    """A market with a hall whose people are told of each other."""

    def __init__(self, market: Market, presence: Presence) -> None:
        self.market = market
        self.presence = presence

    async def enter(self, user: str) -> Wire:
        """Connect, and watch nothing."""
        wire = await self.market.wire()
        await wire.connect(HALL, auth={"token": self.market.token(user, f"session of {user}")})
        return wire

    async def watch(self, user: str, room: str = ROOM) -> Wire:
        """Connect and watch a room."""
        wire = await self.enter(user)
        assert (await wire.command("subscribe", {"stream": room}, namespace=HALL))["ok"]
        return wire


async def launch(open_market: Open, link: RedisLink, total: int = 3, **options: float) -> Instance:
    """An instance whose room has `total` members."""
    market = await open_market()
    options = {"poll_s": 60.0, "grace_s": 0.0, **options}
    presence = Presence(link, Clock(), market.streams, members, kind="tally", moved_by=("added",), **options)
    market.sockets.add(Namespace(HALL)).observers.append(presence)
    await market.add(ROOM, total)
    return Instance(market, presence)


async def told(wire: Wire, user: str, online: bool) -> dict[str, Any]:
    """The next that the client is told is this."""
    news = await wire.event("presence")
    assert (news["user"], news["online"]) == (user, online), news
    return dict(news)


async def settled(*wires: Wire) -> None:
    """Nothing else is under way to these clients: what has been told comes before the ack."""
    for wire in wires:
        await wire.command("sync_time", {"t0": 1}, namespace=HALL)
        assert not [event for _, event, _ in wire.events if event == "presence"]


async def test_a_subscriber_learns_how_the_members_are_after_its_ack(
    links: tuple[RedisLink, RedisLink], open_market: Open
) -> None:
    here, there = [await launch(open_market, link) for link in links]
    await there.enter("bob")
    await until(lambda: _online(here, "bob"))
    ann = await here.watch("ann")
    news = {one["user"]: one for one in [await ann.event("presence") for _ in range(2)]}
    assert news == {
        "bob": {"user": "bob", "online": True, "last_seen": None},
        "cid": {"user": "cid", "online": False, "last_seen": None},
    }
    await settled(ann)
    again = await ann.command("subscribe", {"stream": ROOM, "after": 1}, namespace=HALL)
    assert again["ok"]
    assert {(await ann.event("presence"))["user"] for _ in range(2)} == {"bob", "cid"}


async def _online(instance: Instance, user: str) -> bool:
    return (await instance.presence.look([user]))[user].online


async def test_coming_and_going_is_told_on_other_instances_at_once(
    links: tuple[RedisLink, RedisLink], open_market: Open
) -> None:
    here, there = [await launch(open_market, link, total=2) for link in links]
    ann = await here.watch("ann")
    await told(ann, "bob", False)
    before = here.market.clock.now()
    desk = await there.enter("bob")
    await told(ann, "bob", True)
    phone = await here.enter("bob")
    await desk.send("1")
    await until(lambda: there.presence.signs.idle)
    await settled(ann)  # still there, by the other device
    await phone.send("1")
    gone = await told(ann, "bob", False)
    assert gone["last_seen"] is not None
    assert (await here.presence.look(["bob"]))["bob"].last_seen >= before
    await settled(ann)  # never of oneself


async def test_a_new_member_is_told_of_and_one_who_shares_no_room_is_not(link: RedisLink, open_market: Open) -> None:
    here = await launch(open_market, link, total=2)
    await here.enter("cid")
    ann = await here.watch("ann")
    await told(ann, "bob", False)
    await settled(ann)
    await here.market.add(ROOM, 1)  # cid is a member now
    await told(ann, "cid", True)
    dan = await here.enter("dan")
    await until(lambda: _online(here, "dan"))
    await settled(ann)
    await ann.command("unsubscribe", {"stream": ROOM}, namespace=HALL)
    await dan.send("1")
    await until(lambda: here.presence._task is None)


async def test_a_member_of_two_rooms_in_common_is_told_of_once(link: RedisLink, open_market: Open) -> None:
    here = await launch(open_market, link, total=2)
    await here.market.add("tally:b", 2)
    ann = await here.watch("ann")
    await told(ann, "bob", False)
    await ann.command("subscribe", {"stream": "tally:b"}, namespace=HALL)
    await told(ann, "bob", False)  # of the second room
    bob = await here.enter("bob")
    await told(ann, "bob", True)
    await settled(ann)
    await bob.send("1")
    await told(ann, "bob", False)
    await settled(ann)


async def test_a_reload_goes_unnoticed(link: RedisLink, open_market: Open) -> None:
    here = await launch(open_market, link, total=2, grace_s=60.0)
    ann = await here.watch("ann")
    await told(ann, "bob", False)
    bob = await here.enter("bob")
    await told(ann, "bob", True)
    await bob.send("1")
    await until(lambda: here.market.sockets.open_transports == 1)
    assert (await here.presence.look(["bob"]))["bob"] == Seen(True)
    await here.enter("bob")
    await settled(ann)


async def test_who_died_with_an_instance_is_offline_when_its_time_is_over(link: RedisLink, open_market: Open) -> None:
    here = await launch(open_market, link, total=2, poll_s=0.02)
    until_ms = Clock().now() + 300
    await link.client.zadd("rialto:presence:bob", {"dead-instance": until_ms})
    ann = await here.watch("ann")
    await told(ann, "bob", True)
    gone = await told(ann, "bob", False)
    assert (await here.presence.look(["bob"]))["bob"] == Seen(False, until_ms)
    assert gone["last_seen"].endswith("Z")
    assert Clock().now() > until_ms


async def test_it_is_renewed_for_as_long_as_the_connection_lasts(link: RedisLink, open_market: Open) -> None:
    here = await launch(open_market, link, total=2, expiry_s=0.3)
    bob = await here.enter("bob")

    async def score() -> float:
        return float(await link.client.zscore("rialto:presence:bob", here.presence._process) or 0)

    first = await until(score)

    async def renewed() -> bool:
        return await score() > first + 300

    await until(renewed)
    await bob.send("1")
    await until(lambda: here.presence.signs.idle)
    assert await score() <= Clock().now()
    assert await link.client.pttl("rialto:presence:bob") > 86_400_000


async def test_without_valkey_those_of_this_instance_are_known(open_market: Open, tmp_path: Path) -> None:
    valkey = Valkey(tmp_path, log=tmp_path / "valkey.log", persistent=False)
    await valkey.start()
    link = RedisLink(valkey.url, timeout_ms=500)
    await link.start()
    try:
        here = await launch(open_market, link, poll_s=0.05)
        ann = await here.watch("ann")
        assert {(await ann.event("presence"))["user"] for _ in range(2)} == {"bob", "cid"}
        await valkey.stop()
        await until(lambda: not link.up)
        bob = await here.enter("bob")
        await told(ann, "bob", True)
        await valkey.start()
        await until(lambda: link.up)
        await settled(ann)
        await bob.send("1")
        await told(ann, "bob", False)
        await here.market.sockets.stop()
    finally:
        await link.stop()
        await valkey.stop()
