"""Jobs are posted, bids found again, profiles kept: the pages of one's own things."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.cluster.cluster import Cluster
from tests.waiting import until
from tests.web.browser.axe import accessible
from tests.web.browser.people import PASSWORD, People, Person

HOSTILE = "<script>document.title = 'taken'</script> & <img src=x onerror=alert(1)>"
LONG_WORD = "W" * 4_000


def in_seconds(seconds: float) -> str:
    """A time from now, as the wire has it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def step(page: Page, name: str) -> Locator:
    """The button of a step of the form."""
    return page.get_by_role("navigation", name="Steps").get_by_role("button", name=name)


async def next_step(page: Page, heading: str) -> None:
    """Press Next, and see that it leads there."""
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_role("heading", level=2, name=heading)).to_be_focused()


async def open_job(owner: Person, **terms: Any) -> Any:
    """A job with a running auction, over REST."""
    auction = {"format": "english", "start_amount": 10_000, "end_at": in_seconds(3_600), **terms}
    job = {
        "title": "Paint a fence",
        "description": "Green.",
        "category": "crafts",
        "auction": {"currency": "EUR", **auction},
    }
    return await owner.api.post("/jobs", job)


async def test_a_job_is_drafted_reviewed_and_published(person: People) -> None:
    ann = await person("Ann", role="client")
    page = ann.page
    await page.goto("/jobs/new")
    await expect(page.get_by_role("heading", level=1, name="Post a job")).to_be_visible()
    await accessible(page)
    await page.get_by_label("Title").fill(HOSTILE)
    await page.get_by_label("Description").fill(LONG_WORD)
    await page.get_by_label("Category").fill("crafts")
    await page.get_by_label("Skills").fill("painting, fences,")
    await expect(page.get_by_role("button", name="Remove fences")).to_be_visible()
    await next_step(page, "Place and budget")
    await accessible(page)
    await page.get_by_label("To optional").fill("1,250.50")
    await next_step(page, "The auction")
    await accessible(page)
    await ann.portraits("post-auction")

    # What is wrong is said at its field, on its step, and nothing is sent.
    await next_step(page, "Review")
    await page.get_by_role("button", name="Publish").click()
    price = page.get_by_role("textbox", name="Highest price")
    await expect(price).to_be_focused()
    await expect(price).to_have_attribute("aria-invalid", "true")
    assert (await ann.api.get("/jobs?mine=true"))["items"] == []

    # What was typed is there after a reload, and the server keeps drafts with all their terms.
    await price.fill("900")
    await page.get_by_role("textbox", name="Reserve").fill("700")
    await page.reload()
    await expect(page.get_by_text("This is what you had begun.")).to_be_visible()
    await expect(page.get_by_label("Title")).to_have_value(HOSTILE)
    await page.get_by_role("button", name="Save as draft").click()
    await expect(page).to_have_url(re.compile(r"edit="))
    await expect(page.get_by_role("heading", level=1, name="Edit the draft")).to_be_visible()
    await step(page, "The auction").click()
    await expect(page.get_by_role("textbox", name="Reserve")).to_have_value("700")

    # The server's refusals come to their fields too.
    await step(page, "The work").click()
    await page.get_by_label("Title").fill("Turned \u202e around")
    await step(page, "Review").click()
    with ann.complaints.expected("422"):
        await page.get_by_role("button", name="Publish").click()
        await expect(page.get_by_label("Title")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Title").fill(HOSTILE)
    await step(page, "Review").click()
    await expect(page.get_by_role("heading", level=3, name="<script>")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await accessible(page)
    await ann.portraits("post-review")
    await page.get_by_role("button", name="Publish").click()
    await expect(page).to_have_url(re.compile(r"/jobs/(?!new)\w+$"))
    (job,) = (await ann.api.get("/jobs?mine=true"))["items"]
    assert (job["title"], job["status"], job["skills"]) == (HOSTILE, "open", ["painting", "fences"])
    assert (job["budget"]["max"], job["auction"]["start_amount"], job["auction"]["format"]) == (
        125_050,
        90_000,
        "reverse",
    )


async def test_my_jobs_are_listed_by_what_is_to_be_done(person: People) -> None:
    ann = await person("Ann", role="client")
    page = ann.page
    await page.goto("/my/jobs?tab=drafts")
    await expect(page.get_by_text("No drafts")).to_be_visible()
    await accessible(page)
    job = {"title": "A draft", "description": "Green.", "category": "crafts", "status": "draft"}
    terms = {"format": "reverse", "start_amount": 10_000, "end_at": in_seconds(3_600), "currency": "EUR"}
    await ann.api.post("/jobs", {**job, "auction": terms})
    await ann.api.post("/jobs", {**job, "title": "To be thrown away"})
    await page.reload()
    await ann.portraits("my-jobs")
    thrown = page.get_by_role("listitem").filter(has_text="To be thrown away")
    await thrown.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(thrown).to_have_count(0)
    await page.get_by_role("listitem").filter(has_text="A draft").get_by_role("button", name="Publish").click()
    await page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    await expect(page.get_by_text("No drafts")).to_be_visible()
    await page.get_by_role("navigation", name="Which jobs").get_by_role("link", name="Open").click()
    await expect(page.get_by_role("link", name="A draft")).to_be_visible()
    await accessible(page)


async def test_a_bidder_sees_live_how_each_auction_stands(person: People, market: Cluster) -> None:
    client = await person("Client", role="client")
    ann = await person("Ann", role="freelancer")
    bob = await person("Bob", role="freelancer", at=market.urls[1])
    auction = (await open_job(client))["auction"]["id"]
    page = ann.page
    await page.goto("/my/bids")
    await expect(page.get_by_text("No running auctions")).to_be_visible()
    await accessible(page)
    await ann.api.post(f"/auctions/{auction}/bids", {"amount": 10_000}, key="one")

    row = page.get_by_role("listitem").filter(has_text="Paint a fence")

    async def listed() -> Any:
        return (await ann.api.get("/users/me/bids"))["items"]

    await until(listed)
    await page.reload()
    await expect(row.get_by_text("You lead")).to_be_visible()
    await accessible(page)
    await bob.api.post(f"/auctions/{auction}/bids", {"amount": 12_000}, key="two")
    await expect(row.get_by_text("Outbid")).to_be_visible()
    await expect(row).to_contain_text("120")
    await ann.portraits("my-bids")


async def test_a_profile_is_edited_and_seen_by_others(person: People) -> None:
    ann = await person("Ann", role="freelancer")
    page = ann.page
    await page.goto("/me")
    await page.get_by_label("Name").fill("Ann of the Bridge")
    await page.get_by_label("About").fill(HOSTILE + " " + LONG_WORD)
    await page.get_by_label("Price of an hour").fill("45")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Your profile is saved.")).to_be_visible()
    await accessible(page)
    await ann.portraits("me")

    await page.get_by_label("Password now").fill("not that one")
    await page.get_by_label("New password").fill("another horse battery")
    with ann.complaints.expected("403"):
        await page.get_by_role("button", name="Change", exact=True).click()
        await expect(page.get_by_text("This isn't your password.")).to_be_visible()
    await page.get_by_label("Password now").fill(PASSWORD)
    await page.get_by_role("button", name="Change", exact=True).click()
    await expect(page.get_by_text("Your password is changed.")).to_be_visible()

    bob = await person("Bob", role="client")
    await bob.page.goto(f"/users/{ann.user}")
    await expect(bob.page.get_by_role("heading", level=1, name="Ann of the Bridge")).to_be_visible()
    await expect(bob.page.get_by_text("<script>")).to_be_visible()
    assert await bob.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await accessible(bob.page)
    await bob.portraits("user")
    with bob.complaints.expected("403"):
        await bob.page.get_by_role("button", name="Message").click()
        await expect(bob.page.get_by_text("once one has bid")).to_be_visible()
    await bob.page.get_by_role("link", name="Invite to a job").click()
    await expect(bob.page.get_by_role("heading", level=1, name="Post a job")).to_be_visible()
    with bob.complaints.expected("404"):
        await bob.page.goto("/users/nobody")
        await expect(bob.page.get_by_text("There is nobody here")).to_be_visible()
