"""The app without a server, and what its service worker keeps: of the app, and of whom it was that looked."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.cluster.cluster import Cluster
from tests.waiting import patiently
from tests.web.browser.people import PASSWORD, People, Person
from tests.web.browser.road import Road
from tests.web.browser.scenes import ENDED, GONE, bids_of, brand, branded, live, open_live, post, price, shows

_SEEN = """async ([name, path]) => {
    if (!(await caches.has(name))) return [];
    const cache = await caches.open(name);
    const keys = (await cache.keys()).filter((request) => request.url.includes(path));
    const found = await Promise.all(keys.map((key) => cache.match(key)));
    return Promise.all(found.filter((response) => response !== undefined).map((response) => response.text()));
}"""
"""What is kept under paths that contain this one."""
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


async def kept(page: Page, person: Person, path: str = "", text: str = "", *, there: bool = True) -> None:
    """Return when the browser keeps something of a path with a text that this person has seen; or not any more."""

    async def look() -> bool:
        texts = await page.evaluate(_SEEN, [f"seen {person.user}", path])
        return any(text in one for one in texts) is there

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
        await expect(page.get_by_role("status").filter(has_text=re.compile("^Reconnecting$"))).to_be_visible()
        await ann.portraits("away")
        await page.goto("/jobs/new")
        await expect(page.get_by_role("heading", level=1, name="Post a job")).to_be_visible()
        await page.goto("/")
        await expect(old).to_be_visible()
        await brand(page)
        await ann.context.set_offline(True)  # so that it is back only when there is something to see
        await market.heal()
        await post_plain(ann, "Shutters by the bridge")
        await ann.context.set_offline(False)
        await live(page)
        await expect(old).to_have_count(0)
        await expect(page.get_by_text("Shutters by the bridge")).to_be_visible()
        assert await branded(page)


async def test_a_first_visit_is_kept(person: People, market: Cluster, road: Road) -> None:
    ann = await person("Ann", at=road.url)
    await post_plain(ann, "Steps of white stone")
    page = ann.page
    await page.goto("/")
    await expect(page.get_by_text("Steps of white stone")).to_be_visible()
    await kept(page, ann, "/api/v1/jobs?")
    with ann.complaints.expected(GONE + "|Failed to load resource"):
        road.close()
        await page.reload()
        await expect(page.get_by_text("what was last seen, as of")).to_be_visible()
        await expect(page.get_by_text("Steps of white stone")).to_be_visible()
        road.open()
        await live(page)


async def test_a_form_stays_while_the_rest_of_the_page_is_fetched_anew(person: People, market: Cluster) -> None:
    ann = await person("Ann", role="client")
    posted = await post(ann.api)
    page = ann.page
    await page.goto(f"/jobs/new?edit={posted.job}")
    await page.get_by_label("Description").fill("Typed on a first visit")
    await watched_over(page)  # from now on it keeps what is fetched, so all is fetched again
    await kept(page, ann, "/api/v1/jobs?")
    await expect(page.get_by_label("Description")).to_have_value("Typed on a first visit")


async def test_a_room_opens_without_a_server_with_all_that_was_said_before_its_eyes(
    person: People, market: Cluster, road: Road
) -> None:
    ann = await person("Ann", role="client", at=road.url)
    bob = await person("Bob", role="freelancer", at=market.urls[1])
    posted = await post(ann.api)
    await posted.bid(bob.api, 90_000)
    room, unseen = [
        str((await ann.api.post("/rooms", body))["id"])
        for body in ({"kind": "job", "job": posted.job}, {"kind": "dm", "user": bob.user})
    ]
    page = ann.page
    await open_live(ann, "/")
    await watched_over(page)
    await page.get_by_role("link", name="Chat", exact=True).click()
    await page.get_by_role("link", name=posted.title).click()
    await expect(page.get_by_label("Write a message")).to_be_enabled()
    for text in ("It is about the oars", "They are too short"):  # in no answer that was fetched
        await bob.api.post(f"/rooms/{room}/messages", {"text": text}, key=secrets.token_hex(8))
    said = page.get_by_role("article").filter(has_text="They are too short")
    await expect(said).to_be_visible()
    await kept(page, ann, f"/seen/room/{room}", "They are too short")
    await kept(page, ann, "/api/v1/rooms?", "They are too short")

    with ann.complaints.expected(GONE + "|Failed to load resource"):
        road.close()
        await page.reload()
        await expect(said).to_be_visible()
        await expect(page.get_by_text("It is about the oars")).to_be_visible()
        await expect(page.get_by_text("what was last seen, as of")).to_be_visible()
        await expect(page.get_by_text("What you write is sent when it is back.")).to_be_visible()
        row = page.get_by_role("region", name="Conversations").get_by_role("link", name=posted.title)
        await expect(row).to_contain_text("Bob: They are too short")
        await page.get_by_label("Write a message").fill("Then I cut new ones")
        await page.get_by_label("Write a message").press("Enter")
        waiting = page.locator(".departing").filter(has_text="Then I cut new ones")
        await expect(waiting.get_by_label("Waiting for a connection")).to_be_visible()
        await expect(page.get_by_role("button", name="Send")).to_be_in_viewport(ratio=1)
        await page.reload()
        await expect(waiting).to_be_visible()
        await ann.portraits("chat-away")

        await page.goto(f"/chat/{unseen}")
        await expect(page.get_by_text("This conversation isn't kept on this device.")).to_be_visible()
        await page.goto(f"/chat/{room}")
        await expect(said).to_be_visible()
        road.open()
        await live(page)
        own = page.get_by_role("article").filter(has_text="Then I cut new ones")
        await expect(own).to_have_count(1)
        await expect(waiting).to_have_count(0)
        await expect(page.get_by_text("what was last seen, as of")).to_have_count(0)
    items = (await bob.api.get(f"/rooms/{room}/messages", limit=50))["items"]
    assert [item["text"] for item in items] == ["It is about the oars", "They are too short", "Then I cut new ones"]


async def test_the_bids_before_ones_visit_come_when_the_server_is_back(
    person: People, market: Cluster, road: Road
) -> None:
    olga = await person("Olga", role="client", at=market.urls[1])
    ann = await person("Ann", role="freelancer", at=road.url)
    bob, eve = [await person(name, role="freelancer", at=market.urls[1]) for name in ("Bob", "Eve")]
    posted = await post(olga.api)
    for bidder, amount in ((bob, 100_000), (eve, 99_000), (bob, 98_000)):
        await posted.bid(bidder.api, amount)
    page = ann.page
    await open_live(ann, "/")
    await watched_over(page)
    with ann.complaints.expected(GONE + "|Failed to load resource"):
        await ann.context.route("**/events?after=*", lambda route: route.abort("connectionrefused"))
        await open_live(ann, posted.path)
        await expect(page.get_by_role("region", name="Bids").get_by_role("button", name="Try again")).to_be_visible()
        await ann.context.unroute("**/events?after=*")
        road.close()
        await expect(page.get_by_role("status").filter(has_text="Reconnecting")).to_be_visible()
        road.open()
        await live(page)
        await shows(page, await bids_of(posted, ann.api))


async def test_an_auction_opens_without_a_server_as_it_was_last_seen(
    person: People, market: Cluster, road: Road
) -> None:
    ann = await person("Ann", role="client", at=road.url)
    bob, cleo = [await person(name, role="freelancer", at=market.urls[1]) for name in ("Bob", "Cleo")]
    eve = await person("Eve", at=market.urls[1])
    posted, other = await post(ann.api), await post(ann.api, job={"title": "Never looked at"})
    page = ann.page
    await open_live(ann, "/")
    await watched_over(page)
    await open_live(ann, "/notifications")
    await posted.bid(bob.api, 90_000)
    news = page.get_by_role("link").filter(has_text="Bob bids €900.00")
    await expect(news).to_be_visible()
    await kept(page, ann, "/api/v1/notifications?limit=30", "90000")
    await open_live(ann, posted.path)
    await expect(price(page)).to_have_text("€900.00")
    await posted.bid(cleo.api, 85_000)
    await shows(page, await bids_of(posted, eve.api))
    await kept(page, ann, f"/seen/auction/{posted.auction}", '"amount":85000')

    with ann.complaints.expected(GONE + "|Failed to load resource"):
        road.close()
        await page.reload()
        await expect(price(page)).to_have_text("€850.00")
        await shows(page, await bids_of(posted, eve.api))
        await expect(page.get_by_text("what was last seen, as of")).to_be_visible()
        await expect(page.get_by_text("this may be old")).to_be_visible()
        await ann.portraits("auction-away")
        await page.goto("/notifications")
        await expect(news).to_be_visible()
        await page.goto(other.path)
        await expect(page.get_by_text("Rialto can't be reached right now.")).to_be_visible()
        road.open()
        await expect(page.get_by_role("heading", name="Never looked at")).to_be_visible()
        road.close()
        await page.goto(posted.path)
        await expect(price(page)).to_have_text("€850.00")
        await posted.bid(bob.api, 80_000)
        road.open()
        await shows(page, await bids_of(posted, eve.api))
        await expect(price(page)).to_have_text("€800.00")


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
    await kept(page, ann, there=False)


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
