"""Jobs on a map."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.waiting import patiently
from tests.web.browser.axe import accessible
from tests.web.browser.people import People

HOSTILE = "\u202e<script>alert(1)</script>" + "x" * 100


def job(title: str, lat: float, lng: float, address: str) -> dict[str, object]:
    """A job at a place."""
    return {
        "title": title,
        "description": "As it was before.",
        "category": "carpentry",
        "skills": ["oak"],
        "budget": {"min": 1000, "max": 90000, "currency": "EUR"},
        "location": {"lat": lat, "lng": lng, "address": address},
    }


async def test_jobs_are_found_where_they_are(person: People) -> None:
    ann = await person("Ann")
    for one in (
        job("Windows in Venice", 45.44, 12.33, "Venice, Italy"),
        job("Doors in Venice", 45.44, 12.33, "Venice, Dorsoduro"),
        job("Beams in Berlin", 52.52, 13.405, HOSTILE),
    ):
        await ann.api.post("/jobs", one)
    nobody = await person.anonymous()
    page = nobody.page
    await page.goto("/?view=map")
    world = page.get_by_role("application", name=re.compile("Map of the jobs"))
    venice = world.get_by_role("button", name=re.compile(r"2 jobs ?, Venice"))
    await expect(venice).to_be_visible()
    await expect(world.locator(".map-land")).to_have_count(1)
    berlin = page.get_by_role("link", name="Beams in Berlin")
    await expect(berlin).to_be_visible()
    await accessible(page)
    await nobody.portraits("map")

    # A place that is pressed lists its jobs alone, by keyboard as well.
    await venice.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("2 jobs here")).to_be_visible()
    await expect(berlin).to_have_count(0)
    await page.get_by_role("button", name="Show all in view").click()
    await expect(berlin).to_be_visible()

    # Whoever has moved the map may search the part that is in view.
    search = page.get_by_role("button", name="Search this area")
    await expect(search).to_have_count(0)
    await world.focus()
    await venice.hover()

    async def closer() -> bool:
        await page.mouse.wheel(0, -240)
        return await berlin.count() == 0

    await patiently(closer, "Berlin to be out of view")
    await search.click()
    await expect(page).to_have_url(re.compile("near="))
    await expect(page.get_by_role("link", name="Windows in Venice")).to_be_visible()
    await page.get_by_role("group", name="View").get_by_role("button", name="List").click()
    await expect(page.get_by_role("link", name="Windows in Venice")).to_be_visible()
    await expect(berlin).to_have_count(0)
