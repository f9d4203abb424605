"""Two people talk, each at a browser of their own and at an instance of their own; and what they are told besides."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Locator, Page, expect

from server.clock import to_rfc3339
from tests.cluster.cluster import Cluster
from tests.web.browser.axe import accessible
from tests.web.browser.people import People, Person


async def acquainted(people: People, market: Cluster) -> tuple[Person, Person, str]:
    """A client and a freelancer who has bid on a job, each at another instance, and the room of the two."""
    ann = await people("Ann", role="client", at=market.urls[0])
    bob = await people("Bob", role="freelancer", at=market.urls[1])
    end_at = to_rfc3339(int((datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000))
    job = await ann.api.post(
        "/jobs",
        {
            "title": "Paint a fence",
            "description": "White, twice.",
            "category": "other",
            "budget": {"min": 10_000, "max": 100_000, "currency": "EUR"},
            "auction": {"format": "reverse", "start_amount": 100_000, "end_at": end_at},
        },
        key=secrets.token_hex(8),
    )
    await bob.api.post(f"/auctions/{job['auction']['id']}/bids", {"amount": 90_000}, key=secrets.token_hex(8))
    room = await ann.api.post("/rooms", {"kind": "dm", "user": bob.user}, key=secrets.token_hex(8))
    return ann, bob, room["id"]


async def enter(person: Person, room: str) -> Locator:
    """Open a room; answers with the field to write in."""
    await person.page.goto(f"/chat/{room}")
    field = person.page.get_by_label("Write a message")
    await expect(field).to_be_enabled()
    return field


def message(page: Page, text: str) -> Locator:
    """A message that is in the room."""
    return page.get_by_role("article").filter(has_text=text)


async def say(person: Person, text: str) -> None:
    """Write a message and send it."""
    await person.page.get_by_label("Write a message").fill(text)
    await person.page.keyboard.press("Enter")


async def choose(page: Page, text: str, action: str) -> None:
    """Do something with a message by its menu."""
    await message(page, text).hover()
    await message(page, text).get_by_role("button", name="Actions").click()
    await page.get_by_role("group", name="Message").get_by_role("button", name=action).click()


async def test_two_people_talk(person: People, market: Cluster) -> None:
    ann, bob, room = await acquainted(person, market)
    await enter(ann, room)
    field = await enter(bob, room)
    await field.press_sequentially("Hello")
    await expect(ann.page.get_by_text("is typing").first).to_be_visible()
    await bob.page.keyboard.press("Enter")
    await expect(message(ann.page, "Hello")).to_be_visible()
    await expect(message(bob.page, "Hello").get_by_label("Read", exact=True)).to_be_visible()

    await choose(ann.page, "Hello", "React with 👍")
    await expect(message(bob.page, "Hello").get_by_role("button", name="👍")).to_be_visible()
    await choose(ann.page, "Hello", "Reply")
    await ann.page.keyboard.type("@B")
    await ann.page.keyboard.press("Enter")
    await ann.page.keyboard.type("good morning")
    await ann.page.keyboard.press("Enter")
    await expect(message(bob.page, "@Bob good morning").get_by_role("button", name="Hello")).to_be_visible()

    await ann.page.keyboard.press("ArrowUp")
    await ann.page.get_by_label("Change your message").fill("Good evening")
    await ann.page.keyboard.press("Enter")
    await expect(message(bob.page, "Good evening").get_by_text("edited")).to_be_visible()
    await choose(ann.page, "Good evening", "Delete")
    await ann.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(bob.page.get_by_text("Message deleted").first).to_be_visible()


async def test_what_is_refused_can_be_changed(person: People, market: Cluster) -> None:
    ann, bob, room = await acquainted(person, market)
    field = await enter(ann, room)
    await enter(bob, room)
    await say(ann, "Write to ann@example.org")
    note = ann.page.get_by_role("alert")
    await expect(note).to_contain_text("an email address")
    await accessible(ann.page)
    await ann.page.reload()
    await note.get_by_role("button", name="Change it").click()
    await expect(field).to_have_value("Write to ann@example.org")
    await say(ann, "Write to me here")
    await expect(message(bob.page, "Write to me here")).to_be_visible()
    await expect(note).to_have_count(0)


async def test_drafts_stay(person: People, market: Cluster) -> None:
    ann, _, room = await acquainted(person, market)
    field = await enter(ann, room)
    await field.fill("Not yet")
    await ann.page.goto("/chat")
    await expect(ann.page.get_by_role("link", name="Bob")).to_contain_text("Draft: Not yet")
    await ann.page.get_by_role("link", name="Bob").click()
    await expect(field).to_have_value("Not yet")


async def test_history_comes_without_a_jump(person: People, market: Cluster) -> None:
    ann, bob, room = await acquainted(person, market)
    for number in range(120):
        await bob.api.post(f"/rooms/{room}/messages", {"text": f"line {number}."}, key=f"line-{number}")
    await enter(ann, room)
    page = ann.page
    await expect(page.get_by_text("Unread", exact=True).or_(message(page, "line 119."))).not_to_have_count(0)
    lines = page.get_by_role("article")
    while await lines.count() < 120:
        before = await lines.count()
        seq, top = await page.evaluate(
            """() => {
                const box = document.querySelector("[data-seq]").closest(".box");
                box.scrollTop = 5;
                const first = [...document.querySelectorAll("[data-seq]")].find((one) =>
                    one.getBoundingClientRect().bottom > box.getBoundingClientRect().top);
                return [first.dataset.seq, first.getBoundingClientRect().top];
            }"""
        )
        await expect(lines).not_to_have_count(before)
        moved = await page.evaluate(
            "(seq) => document.querySelector(`[data-seq='${seq}']`).getBoundingClientRect().top", seq
        )
        assert abs(moved - top) < 2
    await enter(bob, room)
    await say(bob, "the newest")
    await page.get_by_role("button", name="1 new message").click()
    await expect(message(page, "the newest")).to_be_in_viewport()
    await page.get_by_role("button", name="Search here").click()
    await page.get_by_label("Search in this conversation").fill('"line 7."')
    await page.get_by_role("button", name="line 7.").click()
    await expect(message(page, "line 7.")).to_be_in_viewport()


async def test_blocks_and_reports(person: People, market: Cluster) -> None:
    ann, bob, room = await acquainted(person, market)
    await enter(ann, room)
    await enter(bob, room)
    await say(bob, "Buy my paint!")
    await choose(ann.page, "Buy my paint!", "Report")
    dialog = ann.page.get_by_role("dialog")
    await accessible(ann.page)
    await dialog.get_by_label("Block the sender as well").check()
    await dialog.get_by_role("button", name="Report").click()
    await expect(ann.page.get_by_text("You have blocked")).to_be_visible()
    await say(bob, "Are you there?")
    await expect(bob.page.get_by_role("alert")).to_contain_text("One of you has blocked the other")
    await ann.page.get_by_role("button", name="Unblock").click()
    await bob.page.get_by_role("button", name="Try again").click()
    await expect(message(ann.page, "Are you there?")).to_be_visible()


async def test_notifications_lead_to_their_places(person: People, market: Cluster) -> None:
    ann, bob, room = await acquainted(person, market)
    await ann.page.goto("/notifications")
    await expect(ann.page.get_by_role("link", name="Bob bids €900.00")).to_be_visible()
    await bob.api.post(f"/rooms/{room}/messages", {"text": "Have you seen my bid?"}, key="asked")
    told = ann.page.get_by_role("link", name="Have you seen my bid?")
    await expect(told).to_contain_text("Unread")
    await accessible(ann.page)
    await ann.portraits("notifications")
    await ann.page.get_by_role("button", name="Mark all as read").click()
    await expect(told).not_to_contain_text("Unread")
    await told.click()
    await expect(ann.page).to_have_url(re.compile(f"/chat/{room}"))
    await expect(message(ann.page, "Have you seen my bid?")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_it(person: People, market: Cluster, scheme: str) -> None:
    ann, bob, room = await acquainted(person, market)
    await enter(bob, room)
    await say(bob, "Hello")
    await enter(ann, room)
    await ann.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    await expect(message(ann.page, "Hello")).to_be_visible()
    await accessible(ann.page)
    await message(ann.page, "Hello").get_by_role("button", name="Actions").focus()
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.get_by_role("button", name="React with 👍")).to_be_focused()
    await accessible(ann.page)
    await ann.page.keyboard.press("Enter")
    await expect(message(ann.page, "Hello").get_by_role("button", name="👍")).to_be_visible()
    await ann.page.goto("/chat")
    await expect(ann.page.get_by_role("link", name="Bob")).to_be_visible()
    await accessible(ann.page)
    await enter(ann, room)
    await ann.portraits("chat")
