"""Texts that mean harm are shown as what they are: text, within its place, that runs nothing and turns nothing around."""

from __future__ import annotations

import secrets
from typing import Final

import pytest
from playwright.async_api import Dialog, Page, expect

from server.dev.api import ApiProblem
from tests.cluster.cluster import Cluster
from tests.web.browser.people import PASSWORD, People, Person, picture
from tests.web.browser.scenes import Posted, open_live, post

SCRIPT: Final = "<script>alert('script')</script><img src=x onerror=alert('img')>"
TURNED: Final = "\u202egnp.exe\u2066 \u200f rorrim"
WORD: Final = "W" * 4_000
LONG_TITLE: Final = "W" * 200

HEBREW: Final = "\u05d2\u05e9\u05e8 1,000.00 \u05d9\u05e9\u05df (" * 9
"""Runs from right to left by itself. What turns text around is refused where there is one line only."""

TITLES: Final = (SCRIPT, HEBREW.strip(), LONG_TITLE)


@pytest.fixture
async def hostile(person: People, market: Cluster) -> tuple[Person, Person, list[Posted], str]:
    """Somebody who reads, on a small phone, and somebody with such a name who has posted and said such things."""
    reader = await person("Ann", role="both", viewport={"width": 360, "height": 740})
    writer = await person("Eve", role="client", at=market.urls[1])
    await writer.api.patch(
        "/users/me",
        {"name": SCRIPT[:80], "about": f"{SCRIPT} {TURNED} {WORD[:900]}", "skills": ["w" * 50, "<b>bold</b>"]},
    )
    jobs = [
        await post(
            writer.api,
            job={
                "title": text,
                "description": f"{SCRIPT}\n{TURNED}\n{WORD}",
                "category": text[:60],
                "skills": [text[:50]],
                "location": {"remote": False, "lat": 45.4, "lng": 12.3, "address": text[:200]},
            },
        )
        for text in TITLES
    ]
    with pytest.raises(ApiProblem, match="one line without control characters"):
        await post(writer.api, job={"title": TURNED})
    await jobs[0].bid(reader.api, 90_000)
    room = str((await writer.api.post("/rooms", {"kind": "job", "job": jobs[0].job}))["id"])
    await reader.api.post("/rooms", {"kind": "job", "job": jobs[0].job})
    for text in (SCRIPT, TURNED, WORD, f"before {TURNED} after"):
        await writer.api.post(f"/rooms/{room}/messages", {"text": text}, key=secrets.token_hex(8))
    return reader, writer, jobs, room


async def test_hostile_texts_are_shown_harmlessly(
    hostile: tuple[Person, Person, list[Posted], str], market: Cluster
) -> None:
    reader, writer, jobs, room = hostile
    page = reader.page
    dialogs: list[Dialog] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog))

    await open_live(reader, "/")
    for text in (SCRIPT, LONG_TITLE):
        await expect(page.get_by_text(text).first).to_be_visible()
    await within(page, "hostile-market")
    for number, posted in enumerate(jobs):
        await open_live(reader, posted.path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await expect(page.get_by_text(WORD).first).to_be_visible()
        await within(page, f"hostile-job-{number}")
    await open_live(reader, "/chat")
    await expect(page.get_by_role("link").filter(has_text="after").first).to_be_visible()
    await within(page, "hostile-rooms")
    await page.goto(f"/chat/{room}")
    for text in (SCRIPT, WORD):
        await expect(page.get_by_role("article").filter(has_text=text)).to_be_visible()
    await apart(page)
    await within(page, "hostile-room")
    await page.goto("/notifications")
    await expect(page.get_by_role("main").get_by_role("link").first).to_be_visible()
    await within(page, "hostile-notifications")
    await page.goto(f"/users/{writer.user}")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("<script>")
    await within(page, "hostile-profile")
    await page.goto("/my/bids")
    await expect(page.get_by_text(SCRIPT).first).to_be_visible()
    await within(page, "hostile-bids")

    assert await page.locator("main script, main img[onerror]").count() == 0
    assert dialogs == []


async def test_who_has_such_a_name_sees_it_everywhere(
    hostile: tuple[Person, Person, list[Posted], str], person: People
) -> None:
    _, writer, jobs, _ = hostile
    owner = await person.anonymous(viewport={"width": 360, "height": 740})
    dialogs: list[Dialog] = []
    owner.page.on("dialog", lambda dialog: dialogs.append(dialog))
    await owner.page.goto("/sign-in?next=/me")
    await owner.page.get_by_label("Email").fill(writer.email)
    await owner.page.get_by_label("Password").fill(PASSWORD)
    await owner.page.get_by_role("button", name="Sign in").click()
    await expect(owner.page.get_by_role("heading", level=1)).to_be_visible()
    await expect(owner.page.get_by_label("Name", exact=True)).to_have_value(SCRIPT[:80])
    await within(owner.page, "hostile-me")
    for path in ("/my/jobs", jobs[2].path, "/chat", "/notifications"):
        await open_live(owner, path)
        await expect(owner.page.get_by_role("heading", level=1).first).to_be_visible()
        await expect(owner.page.locator("[aria-busy=true]")).to_have_count(0)
        await within(owner.page, f"hostile-own-{path.split('/')[1]}")
    await owner.page.get_by_role("banner").locator("summary").click()
    await within(owner.page, "hostile-menu")
    assert dialogs == []


async def within(page: Page, name: str) -> None:
    """Nothing makes the page wider than the screen."""
    await picture(page, name)
    wide = await page.evaluate(
        """() => [...document.querySelectorAll("body *")]
          .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
          .map((one) => `${one.tagName}.${one.className}`).slice(0, 8)"""
    )
    widths = await page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], f"{name}: {widths} {wide}"


async def apart(page: Page) -> None:
    """What turns a message around turns nothing beside it: the time stands after the text, left to right."""
    turned = page.get_by_role("article").filter(has_text="before")
    time = turned.locator("time")
    await expect(time).to_have_text(await time.text_content() or "-")
    direction = await time.evaluate("one => getComputedStyle(one).direction")
    assert direction == "ltr"
