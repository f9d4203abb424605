"""A page through what happens to networks and servers: it says so, goes on without being loaded anew, and misses nothing."""

from __future__ import annotations

import asyncio
import re
from typing import Final

import orjson
from playwright.async_api import WebSocket, expect

from tests.cluster.cluster import Cluster
from tests.cluster.proxy import Proxy
from tests.waiting import until
from tests.web.browser.people import People, Person
from tests.web.browser.road import Road
from tests.web.browser.scenes import (
    GONE,
    Posted,
    bids_of,
    brand,
    branded,
    euros,
    ladder,
    live,
    open_live,
    post,
    price,
    shows,
)

_OFFLINE_S: Final = 20.0
_BIDS: Final = 30


async def test_offline_while_thirty_bids_happen(person: People, market: Cluster, road: Road) -> None:
    owner = await person("Olga", role="client", at=market.urls[1])
    ann = await person("Ann", role="freelancer", at=road.url)
    bob, eve = [(await person(name, role="freelancer", at=market.urls[1])).api for name in ("Bob", "Eve")]
    posted = await post(owner.api)
    await open_live(ann, posted.path)
    await posted.bid(bob, 100_000)
    await shows(ann.page, await bids_of(posted, eve))  # what was before the page was opened is there too
    await brand(ann.page)
    with ann.complaints.expected(GONE):
        road.close()  # what is open is cut, which `set_offline` alone leaves be
        await ann.context.set_offline(True)
        await expect(ann.page.get_by_role("status").filter(has_text=re.compile("^Offline$"))).to_be_visible()
        await expect(ann.page.get_by_text("You are offline.")).to_be_visible()
        await expect(ann.page.get_by_text("this may be old")).to_be_visible()
        for number in range(1, _BIDS + 1):
            await posted.bid((bob, eve)[number % 2], 100_000 - number * 1_000)
            await asyncio.sleep(_OFFLINE_S / _BIDS)
        assert len(await ladder(ann.page)) == 1
        await ann.context.set_offline(False)
        road.open()
        await live(ann.page)
        await expect(price(ann.page)).to_have_text(euros(100_000 - _BIDS * 1_000))
    await ann.page.get_by_role("button", name="Show earlier").click()
    await _complete(ann, posted, _BIDS + 1)
    await ann.page.get_by_role("button", name="Check the record").click()
    await expect(ann.page.get_by_text("The record holds.")).to_be_visible()
    await expect(ann.page.get_by_text(f"{_BIDS + 2} entries worked out by SHA-256")).to_be_visible()
    assert await branded(ann.page)


async def test_the_instance_of_a_page_is_killed(person: People, market: Cluster, front: Proxy) -> None:
    owner = await person("Olga", role="client")
    ann = await person("Ann", role="freelancer", at=front.plain)
    sockets: list[WebSocket] = []
    homes: list[str] = []
    ann.page.on("websocket", lambda socket: _note_home(socket, sockets, homes))
    bob, eve = [(await person(name, role="freelancer", at=front.plain)).api for name in ("Bob", "Eve")]
    posted = await post(owner.api)
    await open_live(ann, posted.path)
    await brand(ann.page)
    number = 0
    for _ in range(2):
        await until(lambda: homes and not sockets[-1].is_closed())
        home = homes[-1]
        with ann.complaints.expected(GONE):
            await market.kill(home)
            for _ in range(3):
                await posted.bid((bob, eve)[number % 2], 100_000 - number * 1_000)
                number += 1
            await until(lambda home=home: homes[-1] != home)  # type: ignore[misc]
            await live(ann.page)
        await posted.bid((bob, eve)[number % 2], 100_000 - number * 1_000)
        await expect(price(ann.page)).to_have_text(euros(100_000 - number * 1_000))
        number += 1
        await market.heal()
    await _complete(ann, posted, number)
    assert await branded(ann.page)


async def test_no_server_at_all(person: People, market: Cluster, front: Proxy) -> None:
    owner = await person("Olga", role="client")
    ann = await person("Ann", role="freelancer", at=front.plain)
    bob, eve = [(await person(name, role="freelancer")).api for name in ("Bob", "Eve")]
    posted = await post(owner.api)
    await posted.bid(ann.api, 100_000)
    await open_live(ann, posted.path)
    await posted.bid(bob, 95_000)
    await expect(price(ann.page)).to_have_text(euros(95_000))
    await ann.page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")  # has all of the app, for any page
    await brand(ann.page)
    with ann.complaints.expected(GONE):
        await asyncio.gather(*(market.kill(name) for name in market.names))
        await expect(ann.page.get_by_role("status").filter(has_text="Reconnecting")).to_be_visible()
        await expect(ann.page.get_by_text("this may be old")).to_be_visible()
        await expect(price(ann.page)).to_have_text(euros(95_000))
        await ann.page.get_by_role("link", name="My bids").click()
        await expect(ann.page.get_by_role("alert").get_by_role("button", name="Try again")).to_be_visible()
        await market.heal()
        await live(ann.page)
        # What could not be had comes by itself, also after the seconds for which nginx goes on to answer 502.
        await ann.page.get_by_role("main").get_by_role("link", name=posted.title).click()
        await expect(ann.page).to_have_url(re.compile(posted.path))
        await posted.bid(eve, 90_000)
        await expect(price(ann.page)).to_have_text(euros(90_000))
    assert await branded(ann.page)


async def _complete(person: Person, posted: Posted, count: int) -> None:
    """The page shows every bid, once, in order."""
    bids = await bids_of(posted, person.api)
    assert len(bids) == count
    await shows(person.page, bids)


def _note_home(socket: WebSocket, sockets: list[WebSocket], homes: list[str]) -> None:
    """Keep which instance a WebSocket leads to: session ids begin with its name."""

    def read(frame: str | bytes) -> None:
        if isinstance(frame, str) and frame.startswith("0{"):
            sockets.append(socket)
            homes.append(str(orjson.loads(frame[1:])["sid"]).split(".")[0])

    socket.on("framereceived", read)
