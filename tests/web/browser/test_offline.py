"""The app without a server, and what its service worker keeps: of the app, and of whom it was that looked."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.cluster.cluster import Cluster
from tests.waiting import patiently
from tests.web.browser.people import PASSWORD, People, Person
from tests.web.browser.scenes import ENDED, GONE, brand, branded, live, open_live

_SEEN = "async () => (await caches.keys()).filter((name) => name.startsWith('seen ')).sort()"
_SHELLS = "async () => (await caches.keys()).filter((name) => name.startsWith('shell '))"
_WAITS = "async () => (await navigator.serviceWorker.getRegistration()).waiting !== null"
_ANEW = "() => document.dispatchEvent(new Event('visibilitychange'))"
"""The page is looked at again: it asks whether there is a new version."""


@pytest.fixture(scope="module")
def built_app(built_app: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the app, which a test may change."""
    return shutil.copytree(built_app, tmp_path_factory.mktemp("app"), dirs_exist_ok=True)


def release(app: Path, word: str) -> None:
    """Make another version of the built app, which says this word of itself."""
    for name in ("index.html", "sw.js"):
        for ending in (".br", ".gz"):
            (app / f"{name}{ending}").unlink(missing_ok=True)
    index = app / "index.html"
    index.write_text(re.sub(r"<html[^>]*>", f'<html lang="en" data-release="{word}">', index.read_text()))
    worker = app / "sw.js"
    text, count = re.subn(r'(version:\s*["`\'])[^"`\']+', rf"\g<1>{word}", worker.read_text())
    assert count > 0
    worker.write_text(text)


async def watched_over(page: Page) -> None:
    """Return when the service worker answers for the page."""
    await patiently(lambda: page.evaluate("navigator.serviceWorker.controller !== null"), "the service worker")


async def kept(page: Page, person: Person, *, there: bool = True) -> None:
    """Return when the browser keeps something that this person has seen; or not any more."""

    async def look() -> bool:
        return (f"seen {person.user}" in await page.evaluate(_SEEN)) is there

    await patiently(look, f"what {person.name} has seen to be {'kept' if there else 'dropped'}")


async def post_plain(ann: Person, title: str) -> None:
    """A job without an auction."""
    job = {"title": title, "description": "As it was before.", "category": "carpentry"}
    await ann.api.post("/jobs", {**job, "budget": {"min": 1000, "max": 90000, "currency": "EUR"}})


async def test_it_opens_without_a_server_and_goes_on_with_it(person: People, market: Cluster) -> None:
    ann = await person("Ann")
    await post_plain(ann, "Shutters by the canal")
    page = ann.page
    await page.goto("/")
    await watched_over(page)
    await page.reload()
    await expect(page.get_by_text("Shutters by the canal")).to_be_visible()
    name = next(iter(market.instances))
    with ann.complaints.expected(GONE + "|Failed to load resource"):
        await market.kill(name)
        await page.reload()
        await expect(page.get_by_text("Shutters by the canal")).to_be_visible()
        old = page.get_by_text(re.compile("what was last seen, as of"))
        await expect(old).to_be_visible()
        await ann.portraits("away")
        await page.goto("/jobs/new")
        await expect(page.get_by_role("heading", level=1, name="Post a job")).to_be_visible()
        await page.goto("/")
        await expect(old).to_be_visible()
        await brand(page)
        await market.heal()
        await post_plain(ann, "Shutters by the bridge")
        await live(page)
        await expect(old).to_have_count(0)
        await expect(page.get_by_text("Shutters by the bridge")).to_be_visible()
        assert await branded(page)


async def test_what_was_seen_is_kept_by_account_and_dropped_at_sign_out(person: People) -> None:
    ann = await person("Ann")
    bob = await person("Bob")
    page = ann.page
    await page.goto("/")
    await watched_over(page)
    await page.goto("/me")
    await kept(page, ann)
    with ann.complaints.expected(ENDED):
        await page.get_by_role("banner").locator("summary").click()
        await page.get_by_role("banner").get_by_role("button", name="Sign out").click()
        await expect(page.get_by_text("You have signed out.")).to_be_visible()
        await expect(page.get_by_role("link", name="Register").first).to_be_visible()
        await kept(page, ann, there=False)

    await page.goto("/sign-in?next=/me")
    await page.get_by_label("Email").fill(bob.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Name")).to_have_value("Bob")
    await kept(page, bob)
    assert f"seen {ann.user}" not in await page.evaluate(_SEEN)


async def test_a_new_version_is_offered_and_taken_by_whoever_wants_it(
    person: People, market: Cluster, built_app: Path
) -> None:
    ann = await person("Ann")
    page = ann.page
    await page.goto("/")
    await watched_over(page)
    (before,) = await page.evaluate(_SHELLS)
    offer = page.get_by_text("A new version of Rialto is there.")
    await expect(offer).to_have_count(0)

    release(built_app, "second")
    with ann.complaints.expected(GONE):
        await market.restart(next(iter(market.instances)))
    await open_live(ann, "/jobs/new")  # still the version that it was
    await page.get_by_label("Title").fill("Begun with the old version")
    await brand(page)
    await page.evaluate(_ANEW)
    await expect(offer).to_be_visible()
    assert await page.evaluate(_WAITS)
    assert await branded(page)
    assert await page.locator("html").get_attribute("data-release") is None
    await ann.portraits("new-version")

    await page.get_by_role("button", name="Reload").click()
    await expect(page.locator("html[data-release=second]")).to_have_count(1)
    await expect(offer).to_have_count(0)
    await expect(page.get_by_label("Title")).to_have_value("Begun with the old version")
    assert await page.evaluate(_SHELLS) == ["shell second"] != [before]
