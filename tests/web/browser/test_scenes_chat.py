"""Two browsers talk, at two instances."""

from __future__ import annotations

import re
import secrets

from playwright.async_api import Locator, Page, expect

from tests.cluster.cluster import Cluster
from tests.web.browser.people import People, Person
from tests.web.browser.road import Road
from tests.web.browser.scenes import GONE, brand, branded, live, open_live, post


async def room_of(owner: Person, bidder: Person) -> str:
    """The room of a job that one has posted and the other has bid on."""
    posted = await post(owner.api)
    await posted.bid(bidder.api, 90_000)
    room = await bidder.api.post("/rooms", {"kind": "job", "job": posted.job})
    await owner.api.post("/rooms", {"kind": "job", "job": posted.job})
    return str(room["id"])


def field(page: Page) -> Locator:
    """Where one writes."""
    return page.get_by_label("Write a message")


async def say(page: Page, text: str) -> None:
    """Write and send as with a keyboard."""
    await field(page).press_sequentially(text)
    await field(page).press("Enter")


def message(page: Page, text: str) -> Locator:
    """A message of the room, once it is in the room's stream."""
    return page.get_by_role("article").filter(has_text=text)


async def test_a_talk_with_typing_receipts_and_edit(person: People, market: Cluster) -> None:
    ann = await person("Ann", role="client", at=market.urls[0])
    bob = await person("Bob", role="freelancer", at=market.urls[1])
    room = await room_of(ann, bob)
    for number in range(30):  # more than a screen, so that one may be elsewhere in it
        text = {"text": f"An earlier message, number {number}"}
        await bob.api.post(f"/rooms/{room}/messages", text, key=secrets.token_hex(8))
    for one in (ann, bob):
        await open_live(one, f"/chat/{room}")
        await expect(message(one.page, "number 29")).to_be_visible()

    await field(ann.page).press_sequentially("Good mor")
    await expect(bob.page.get_by_text("is typing").first).to_be_visible()
    await field(ann.page).press_sequentially("ning, Bob")
    await field(ann.page).press("Enter")
    await expect(message(bob.page, "Good morning, Bob")).to_be_visible()
    await expect(bob.page.get_by_text("is typing")).to_have_count(0)
    await expect(message(ann.page, "Good morning, Bob").get_by_label("Read")).to_be_visible()
    await expect(field(ann.page)).to_have_value("")

    await bob.page.locator(".box").evaluate("box => box.scrollTo(0, 0)")
    await expect(bob.page.get_by_role("button", name="To the end")).to_be_visible()
    await say(ann.page, "Are you there?")
    state = message(ann.page, "Are you there?")
    await expect(state.get_by_label("Delivered", exact=True)).to_be_visible()
    await bob.page.get_by_role("button", name="1 new message").click()
    await expect(state.get_by_label("Read")).to_be_visible()

    await state.get_by_role("button", name=re.compile("Actions for your message")).click()
    await ann.page.get_by_role("button", name="Edit").click()
    await ann.page.get_by_label("Change your message").fill("Are you here?")
    await ann.page.get_by_role("button", name="Save").click()
    changed = message(bob.page, "Are you here?")
    await expect(changed).to_contain_text("edited")
    await expect(message(bob.page, "Are you there?")).to_have_count(0)

    await changed.get_by_role("button", name=re.compile("Actions for the message of")).click()
    await bob.page.get_by_role("button", name="React with 👍").click()
    await expect(message(ann.page, "Are you here?").get_by_role("button", name=re.compile("👍"))).to_be_visible()


async def test_what_is_said_without_a_connection_arrives_once(person: People, market: Cluster, road: Road) -> None:
    ann = await person("Ann", role="client", at=road.url)
    bob = await person("Bob", role="freelancer", at=market.urls[1])
    room = await room_of(ann, bob)
    for one in (ann, bob):
        await open_live(one, f"/chat/{room}")
        await expect(field(one.page)).to_be_enabled()
    await brand(ann.page)
    with ann.complaints.expected(GONE):
        road.close()
        await expect(ann.page.get_by_text("No connection.")).to_be_visible()
        for text in ("The first of two", "The second of two"):
            await say(ann.page, text)
            own = ann.page.locator(".departing").filter(has_text=text)
            await expect(own.get_by_label("Waiting for a connection")).to_be_visible()
        road.open()
        await live(ann.page)
        for one in (ann, bob):
            for text in ("The first of two", "The second of two"):
                await expect(message(one.page, text)).to_have_count(1)
        await expect(ann.page.locator(".departing")).to_have_count(0)
    await expect(message(ann.page, "The second of two").get_by_label("Read")).to_be_visible()
    assert await branded(ann.page)
    items = (await bob.api.get(f"/rooms/{room}/messages", limit=50))["items"]
    assert [item["text"] for item in items] == ["The first of two", "The second of two"]


async def test_who_is_elsewhere_sees_what_is_unread(person: People, market: Cluster) -> None:
    ann = await person("Ann", role="client", at=market.urls[0])
    bob = await person("Bob", role="freelancer", at=market.urls[1])
    room = await room_of(ann, bob)
    await open_live(ann, f"/chat/{room}")
    await open_live(bob, "/")
    await say(ann.page, "A word, please")
    await bob.page.get_by_role("link", name="Chat, 1 unread").click()
    await bob.page.get_by_role("link", name=re.compile("A word, please.* 1 unread")).click()
    await expect(message(bob.page, "A word, please")).to_be_visible()
    await expect(message(ann.page, "A word, please").get_by_label("Read")).to_be_visible()
    await expect(bob.page.get_by_role("link", name="Chat", exact=True)).to_be_visible()
    await bob.page.reload()  # now the list and what was read race
    await expect(message(bob.page, "A word, please")).to_be_visible()
    await expect(bob.page.get_by_role("link", name=re.compile("A word, please.* unread"))).to_have_count(0)
