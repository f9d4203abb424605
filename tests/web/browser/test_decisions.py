"""What is decided about an auction besides its bids: by its client, its winner and an admin, each at a page of their own."""

from __future__ import annotations

import re
from typing import Any

from playwright.async_api import Locator, Page, expect

from server.dev.api import Api
from tests.cluster.cluster import Cluster
from tests.web.browser.axe import accessible
from tests.web.browser.people import PASSWORD, People, Person
from tests.web.browser.road import Road
from tests.web.browser.scenes import GONE, bid_at_once, euros, live, open_live, post, price

NO_SOFT_CLOSE = {"window_s": 0, "extension_s": 0}
SOON_S = 15
"""Until an auction ends that is to be over in its test; long enough for its bids on a busy machine."""


def panel(page: Page) -> Locator:
    """What the client of a job, or an admin, can do about its auction."""
    return page.get_by_role("region", name=re.compile("^(Your auction|As administrator)$"))


def ticket(page: Page) -> Locator:
    """Price, countdown and what can be bid."""
    return page.get_by_role("region", name="Auction", exact=True)


async def status(api: Api, job: str) -> Any:
    """Of a job."""
    return (await api.get(f"/jobs/{job}"))["status"]


async def test_what_missed_the_reserve_is_awarded_declined_and_reopened(person: People, market: Cluster) -> None:
    olga = await person("Olga", role="client", at=market.urls[0])
    ann = await person("Ann", role="freelancer", at=market.urls[1])
    bob = await person("Bob", role="freelancer", at=market.urls[0])
    posted = await post(olga.api, ends_s=SOON_S, reserve_amount=50_000, soft_close=NO_SOFT_CLOSE)
    await posted.bid(ann.api, 90_000)
    await posted.bid(bob.api, 80_000)
    for one in (olga, ann, bob):
        await open_live(one, posted.path)
    outcome = olga.page.get_by_role("region", name="Outcome")
    await expect(outcome).to_contain_text("It ended below the reserve. The client may still award it.")
    await expect(panel(olga.page)).to_contain_text("Reserve: €500.00")
    await expect(panel(ann.page)).to_have_count(0)

    await panel(olga.page).get_by_role("button", name="Award…").click()
    dialog = olga.page.get_by_role("dialog")
    await accessible(olga.page)
    names = {one["name"]: by for by, one in (await posted.state(olga.api))["owner"]["bidders"].items()}
    await dialog.get_by_label("To whom").select_option(label=f"Ann ({names['Ann']})")
    await dialog.get_by_role("button", name="Award", exact=True).click()
    await expect(ann.page.get_by_role("heading", name="You have won")).to_be_visible()
    await expect(ann.page.get_by_role("region", name="Outcome")).to_contain_text(euros(90_000))
    await expect(bob.page.get_by_role("heading", name="Awarded")).to_be_visible()
    await expect(bob.page.get_by_role("button", name="Accept the job")).to_have_count(0)

    await ann.page.get_by_role("button", name="Decline…").click()
    dialog = ann.page.get_by_role("dialog")
    await dialog.get_by_label("Why").fill("<b>Too far</b>")
    await dialog.get_by_role("button", name="Decline the job").click()
    for one in (olga, ann, bob):
        await expect(one.page.get_by_text(f"{names['Ann']} has declined: “<b>Too far</b>”").first).to_be_visible()
    await expect(ann.page.get_by_role("button", name="Accept the job")).to_have_count(0)

    await panel(olga.page).get_by_role("button", name="Reopen…").click()
    await olga.page.get_by_role("dialog").get_by_role("button", name="Reopen").click()
    await expect(ticket(bob.page)).to_contain_text("You lead.")
    for one in (olga, ann, bob):
        await expect(price(one.page)).to_have_text(euros(80_000))
        await expect(one.page.get_by_text(re.compile("^Reopened: it ends on")).first).to_be_visible()
    assert (await posted.state(olga.api))["status"] == "open"


async def test_the_winner_accepts_and_the_work_is_done(person: People, market: Cluster) -> None:
    olga = await person("Olga", role="client", at=market.urls[0])
    ann = await person("Ann", role="freelancer", at=market.urls[1])
    posted = await post(olga.api, ends_s=SOON_S, soft_close=NO_SOFT_CLOSE)
    await posted.bid(ann.api, 90_000)
    for one in (olga, ann):
        await open_live(one, posted.path)
    await ann.page.get_by_role("button", name="Accept the job").click()
    await expect(ann.page.get_by_text("You have accepted.")).to_be_visible()
    await expect(panel(olga.page)).to_contain_text("The winner has accepted, and the work is under way.")
    assert await status(olga.api, posted.job) == "in_progress"
    await panel(olga.page).get_by_role("button", name="The work is done").click()
    await olga.page.get_by_role("dialog").get_by_role("button", name="Yes, it is done").click()
    await expect(olga.page.get_by_text("The job is completed.")).to_be_visible()
    await expect(panel(olga.page).get_by_role("button")).to_have_count(0)
    assert await status(ann.api, posted.job) == "completed"


async def test_an_admin_pauses_and_resumes(person: People, market: Cluster) -> None:
    olga = await person("Olga", role="client")
    ann = await person("Ann", role="freelancer", at=market.urls[1])
    ada = await person("Ada")
    assert (await market.rialto("grant-admin", ada.email))[0] == 0
    posted = await post(olga.api)
    admin = await person.anonymous()
    await admin.page.goto(f"/sign-in?next={posted.path}")
    await admin.page.get_by_label("Email").fill(ada.email)
    await admin.page.get_by_label("Password").fill(PASSWORD)
    await admin.page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await live(admin.page)
    for one in (olga, ann):
        await open_live(one, posted.path)
    await expect(panel(olga.page).get_by_role("button", name="Pause")).to_have_count(0)

    await panel(admin.page).get_by_role("button", name="Pause").click()
    for one in (olga, ann):
        await expect(ticket(one.page)).to_contain_text("No bids are taken. The end moves by the length of the pause.")
    await expect(ticket(ann.page).get_by_role("button", name="Place bid")).to_have_count(0)
    await panel(admin.page).get_by_role("button", name="Resume").click()
    await expect(ann.page.get_by_text(re.compile("^Resumed: it ends on")).first).to_be_visible()
    await bid_at_once(ann.page)
    await expect(price(admin.page)).to_have_text(euros(100_000))
    end = (await posted.state(ann.api))["end_at"]
    await expect(ticket(ann.page).locator(".left time")).to_have_attribute("datetime", end)


async def test_bidders_stand_by_their_bids_when_the_job_was_changed(person: People, market: Cluster) -> None:
    olga = await person("Olga", role="client", at=market.urls[0])
    ann = await person("Ann", role="freelancer", at=market.urls[1])
    bob = await person("Bob", role="freelancer", at=market.urls[0])
    posted = await post(olga.api)
    await posted.bid(bob.api, 95_000)
    await posted.bid(ann.api, 90_000)
    for one in (ann, bob):
        await open_live(one, posted.path)
    page = olga.page
    await page.goto(f"/jobs/new?edit={posted.job}")
    await page.get_by_label("Description").fill("Eleven metres, black, three coats.")
    await page.get_by_role("navigation", name="Steps").get_by_role("button", name="Review").click()
    await page.get_by_role("button", name=re.compile("^Save")).click()
    for one in (ann, bob):
        await expect(ticket(one.page)).to_contain_text("Your bids don't count until you stand by them.")
        await expect(one.page.get_by_text("three coats")).to_be_visible()
    await accessible(ann.page)
    await bob.page.get_by_role("button", name="Stand by my bids").click()
    await expect(ticket(bob.page)).to_contain_text("You lead.")
    await expect(price(ann.page)).to_have_text(euros(95_000))
    await ann.page.get_by_role("button", name="Stand by my bids").click()
    for one in (ann, bob):
        await expect(price(one.page)).to_have_text(euros(90_000))
    await expect(ticket(ann.page)).to_contain_text("You lead.")
    await expect(ticket(bob.page)).to_contain_text("Outbid.")


async def test_a_bid_whose_answer_was_lost_is_sent_again_and_counts_once(
    person: People, market: Cluster, road: Road
) -> None:
    olga = await person("Olga", role="client", at=market.urls[1])
    posted = await post(olga.api)
    ann: Person = await person("Ann", role="freelancer", at=road.url)
    await open_live(ann, posted.path)
    await expect(ticket(ann.page).get_by_role("button", name="Place bid")).to_be_visible()
    with ann.complaints.expected(GONE):
        road.mute()
        await bid_at_once(ann.page)
        # The library goes on trying for 30 s, and takes 10 s more for an answer.
        again = ann.page.get_by_role("button", name="Send again")
        await expect(again).to_be_visible(timeout=90_000)
        await expect(ticket(ann.page)).to_contain_text("so your bid may have arrived")
        assert (await posted.state(olga.api))["bid_count"] == 1
        road.open()
        await live(ann.page)
        await again.click()
        await expect(ann.page.get_by_text("Your bid counts: you lead")).to_be_visible()
    await expect(again).to_have_count(0)
    await expect(ticket(ann.page)).to_contain_text("1 bid")
    assert (await posted.state(olga.api))["bid_count"] == 1
