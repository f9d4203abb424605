"""Every page for everybody: axe finds nothing serious, and pictures of each are left for people to judge."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import Page, expect

from server.auth.admins import grant_admin
from tests.cluster.cluster import Cluster
from tests.web.browser.axe import accessible
from tests.web.browser.people import PASSWORD, WIDTHS, People, Person, picture
from tests.web.browser.scenes import Posted, open_live, post

FORMATS: dict[str, dict[str, Any]] = {
    "reverse": {"soft_close": {"window_s": 300, "extension_s": 300}, "reserve_amount": 95_000},
    "english": {},
    "sealed": {"direction": "reverse"},
    "proposal": {"direction": "reverse"},
}


@dataclass
class Town:
    """A market in which there is something on every page.

    Attributes:
        ann: bids and posts. olga: posts.
    """

    ann: Person
    olga: Person
    jobs: dict[str, Posted]
    room: str


@pytest.fixture
async def town(person: People) -> Town:
    """Jobs in all formats, with bids, a talk and news."""
    olga = await person("Olga", role="client")
    ann = await person("Ann", role="both")
    bob = (await person("Bob", role="freelancer")).api
    jobs = {}
    for name, terms in FORMATS.items():
        job = {"title": f"{name.capitalize()}: repaint a gondola", "location": {"remote": False, **_VENICE}}
        jobs[name] = posted = await post(olga.api, job=job, format=name, **terms)
        more = {"delivery_days": 7, "cover_letter": "I have painted eleven of them."} if name == "proposal" else {}
        up = 1 if name == "english" else -1
        start = 100_000
        for turn, api in enumerate((ann.api, bob) * 4 if name in ("reverse", "english") else (ann.api, bob)):
            await posted.bid(api, start + up * turn * 2_000, **more)
    await post(ann.api, job={"title": "Mend a net"})
    room = str((await ann.api.post("/rooms", {"kind": "job", "job": jobs["reverse"].job}))["id"])
    for api, text in (
        (olga.api, "When could you begin?"),
        (ann.api, "On Monday, if the weather holds."),
        (olga.api, "Good."),
    ):
        await api.post(f"/rooms/{room}/messages", {"text": text}, key=secrets.token_hex(8))
    return Town(ann, olga, jobs, room)


_VENICE: dict[str, Any] = {"lat": 45.4371, "lng": 12.3326, "address": "Squero di San Trovaso, Venice"}


async def look(one: Person, path: str, name: str) -> None:
    """Judge a page in light and dark, and leave its portraits."""
    page = one.page
    await page.goto(path)
    await expect(page.get_by_role("heading", level=1).first).to_be_visible()
    await settled(page)
    before = page.viewport_size
    assert before is not None
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        for width, height in WIDTHS.items():
            await page.set_viewport_size({"width": width, "height": height})
            await picture(page, f"page-{name}-{width}-{scheme}")
        await accessible(page)
    await page.emulate_media(color_scheme="null")
    await page.set_viewport_size(before)


async def settled(page: Page) -> None:
    """Return when nothing on the page is still being fetched."""
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)


async def test_the_market_and_the_way_in(person: People, town: Town) -> None:
    nobody = await person.anonymous()
    await look(nobody, "/", "first-visit")
    await look(nobody, town.jobs["reverse"].path, "job-anonymous")
    await look(nobody, "/sign-in?why=expired", "sign-in")
    await look(nobody, "/register", "register")
    await look(nobody, "/nowhere", "missing")
    await look(nobody, f"/users/{town.ann.user}", "public-profile")
    await look(town.ann, "/", "market")
    await look(town.ann, "/?view=map", "map")


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_job(town: Town, format_: str) -> None:
    path = town.jobs[format_].path
    await look(town.ann, path, f"job-{format_}-bidder")
    await look(town.olga, path, f"job-{format_}-client")


async def test_ones_own_pages(town: Town) -> None:
    await look(town.ann, "/my/bids", "my-bids")
    await look(town.ann, "/my/jobs", "my-jobs")
    await look(town.ann, "/me", "profile")
    await look(town.ann, "/notifications", "notifications")
    await look(town.ann, "/chat", "chat")
    await look(town.ann, f"/chat/{town.room}", "room")
    await look(town.olga, "/jobs/new", "new-job")


async def test_operations(person: People, market: Cluster, mongodb_url: str) -> None:
    ada = await person("Ada")
    assert await grant_admin(mongodb_url, market.databases.name, ada.email)
    await ada.page.goto("/robots.txt")
    await ada.page.evaluate("() => localStorage.clear()")
    await ada.page.goto("/sign-in?next=/ops")  # admins are so from their next login on
    await ada.page.get_by_label("Email").fill(ada.email)
    await ada.page.get_by_label("Password").fill(PASSWORD)
    await ada.page.get_by_role("button", name="Sign in").click()
    await expect(ada.page).to_have_url(f"{market.urls[0]}/ops")
    await open_live(ada, "/ops")
    for name in (*market.names, "worker"):
        await expect(ada.page.get_by_text(name).first).to_be_visible()
    await look(ada, "/ops", "operations")
