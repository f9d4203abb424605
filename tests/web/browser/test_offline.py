"""The map, the operations' page, and the app without a server."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.cluster.cluster import Cluster
from tests.waiting import until
from tests.web.browser.axe import accessible
from tests.web.browser.people import PASSWORD, People, Person

_AWAY = r"Failed to load resource|WebSocket connection|ERR_CONNECTION|ERR_FAILED"
"""What a browser says of a server that is away."""

_SEEN = "async () => (await caches.keys()).filter((name) => name.startsWith('seen '))"

_PATIENT = 30_000
"""Milliseconds that a busy machine may take to make a page for the first time."""


def _job(title: str, lat: float, lng: float, address: str) -> dict[str, object]:
    return {
        "title": title,
        "description": "As it was before.",
        "category": "carpentry",
        "skills": ["oak"],
        "budget": {"min": 1000, "max": 90000, "currency": "EUR"},
        "location": {"lat": lat, "lng": lng, "address": address},
    }


async def _post(ann: Person, *jobs: dict[str, object]) -> None:
    for job in jobs:
        await ann.api.post("/jobs", job)


async def _watched_over(page: Page) -> None:
    """Return when the service worker answers for the page."""
    await until(lambda: page.evaluate("navigator.serviceWorker.controller !== null"))


async def test_jobs_on_a_map(person: People) -> None:
    ann = await person("Ann")
    hostile = "\u202e<script>alert(1)</script>" + "x" * 100
    await _post(
        ann,
        _job("Windows in Venice", 45.44, 12.33, "Venice, Italy"),
        _job("Doors in Venice", 45.44, 12.33, "Venice, Dorsoduro"),
        _job("Beams in Berlin", 52.52, 13.405, hostile),
    )
    nobody = await person.anonymous()
    page = nobody.page
    await page.goto("/?view=map")
    world = page.get_by_role("application", name=re.compile("Map of the jobs"))
    venice = world.get_by_role("button", name=re.compile(r"2 jobs ?, Venice"))
    await expect(venice).to_be_visible(timeout=_PATIENT)
    await expect(world.locator(".map-land")).to_have_count(1, timeout=_PATIENT)
    await expect(page.get_by_role("link", name="Beams in Berlin")).to_be_visible()
    await nobody.portraits("map")


async def test_operations_tell_of_every_process(person: People, market: Cluster) -> None:
    ada = await person("Ada")
    code, said = await market.rialto("grant-admin", ada.email)
    assert code == 0, said
    nobody = await person.anonymous()
    page = nobody.page
    await page.goto("/sign-in?next=/ops")
    await page.get_by_label("Email").fill(ada.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("main").get_by_role("button", name="Sign in").click()
    table = page.get_by_role("table")
    await expect(table.get_by_role("row")).to_have_count(4, timeout=_PATIENT)
    await expect(table.get_by_text("Ready")).to_have_count(3)
    await expect(page.get_by_role("img", name=re.compile("Bids, the last five minutes"))).to_be_visible()
    await accessible(page)
    await nobody.portraits("operations")

    other = list(market.instances)[1]
    await market.kill(other)
    row = table.get_by_role("row").filter(has_text=other)
    await expect(row.get_by_text("Gone")).to_be_visible(timeout=_PATIENT)


async def test_it_opens_without_a_server(person: People, market: Cluster) -> None:
    ann = await person("Ann")
    await _post(ann, _job("Shutters by the canal", 45.4, 12.3, "Venice"))
    page = ann.page
    await page.goto("/")
    await _watched_over(page)
    await page.reload()
    await expect(page.get_by_text("Shutters by the canal")).to_be_visible()
    name = next(iter(market.instances))
    with ann.complaints.expected(_AWAY):
        await market.kill(name)
        await page.reload()
        await expect(page.get_by_text("Shutters by the canal")).to_be_visible()
        await expect(page.get_by_text(re.compile("what was last seen, as of"))).to_be_visible()
        await ann.portraits("away")
        await page.goto("/jobs/new")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()


async def test_what_was_seen_is_kept_by_account(person: People) -> None:
    ann = await person("Ann")
    page = ann.page
    await page.goto("/")
    await _watched_over(page)
    await page.reload()
    assert await until(lambda: page.evaluate(_SEEN)) == [f"seen {ann.user}"]
