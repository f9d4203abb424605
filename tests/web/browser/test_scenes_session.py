"""Sessions that end: in another tab, on another device, or by themselves."""

from __future__ import annotations

import re

import orjson
from playwright.async_api import Page, expect

from tests.cluster.cluster import Cluster
from tests.web.browser.people import PASSWORD, People
from tests.web.browser.scenes import ENDED, bid_at_once, euros, live, open_live, post, price


async def sign_in(page: Page, email: str) -> None:
    """Fill in the form that is shown."""
    await page.get_by_label("Email").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


async def test_signing_out_ends_the_other_tab_and_no_other_device(person: People, market: Cluster) -> None:
    ann = await person("Ann")
    device = await person.anonymous(at=market.urls[1])
    await device.page.goto("/sign-in")
    await sign_in(device.page, ann.email)
    await expect(device.page.get_by_role("link", name="My bids")).to_be_visible()
    await open_live(ann, "/")
    other = await ann.context.new_page()
    await other.goto("/me")
    await expect(other.get_by_role("button", name=re.compile("End the session on"))).to_be_visible()

    with ann.complaints.expected(ENDED):
        await ann.page.get_by_role("banner").locator("summary").click()
        await ann.page.get_by_role("button", name="Sign out").click()
        await expect(ann.page.get_by_text("You have signed out.")).to_be_visible()
        await expect(other).to_have_url(re.compile(r"/sign-in\?.*why=elsewhere"))
        await expect(other.get_by_text("You have signed out in another tab.")).to_be_visible()
    for page in (ann.page, other):
        await expect(page.get_by_role("link", name="Register").first).to_be_visible()
        await expect(page.get_by_role("link", name="My bids")).to_have_count(0)

    await sign_in(other, ann.email)
    await expect(other).to_have_url(re.compile("/me$"))
    await expect(ann.page.get_by_role("link", name="My bids")).to_be_visible()
    await device.page.goto("/me")
    await expect(device.page.get_by_text("This device")).to_be_visible()


async def test_a_session_that_was_ended_elsewhere_leads_to_sign_in_and_back(person: People, market: Cluster) -> None:
    owner = await person("Olga", role="client")
    ann = await person("Ann", role="freelancer", at=market.urls[0])
    posted = await post(owner.api)
    device = await person.anonymous(at=market.urls[1])
    await device.page.goto("/sign-in?next=/me")
    await sign_in(device.page, ann.email)
    ends = device.page.get_by_role("button", name=re.compile("End the session on"))
    await expect(ends).to_be_visible()
    await open_live(ann, f"{posted.path}?from=here")
    with ann.complaints.expected(ENDED):
        await ends.click()
        await expect(ann.page).to_have_url(re.compile(r"/sign-in\?.*why=expired"))
        await expect(ann.page.get_by_text("Your session has ended.")).to_be_visible()
    await sign_in(ann.page, ann.email)
    await expect(ann.page).to_have_url(re.compile(re.escape(f"{posted.path}?from=here")))
    await live(ann.page)
    await bid_at_once(ann.page)
    await expect(price(ann.page)).to_have_text(euros(100_000))


async def test_tokens_that_are_no_more_good_lead_to_sign_in_and_back(person: People) -> None:
    """As after a week away: nothing that the browser has kept is accepted."""
    ann = await person("Ann")
    await open_live(ann, "/")
    old = {"access_token": "old", "refresh_token": "old", "expires_at": 0}
    await ann.page.goto("/robots.txt")  # no page of the app is there to notice
    await ann.page.evaluate(
        "old => localStorage.setItem('rialto.session', JSON.stringify({ ...JSON.parse(localStorage.getItem('rialto.session')), tokens: old }))",
        old,
    )
    with ann.complaints.expected(ENDED):
        await ann.page.goto("/my/jobs?tab=all")
        await expect(ann.page).to_have_url(re.compile(r"/sign-in\?.*why=expired"))
        await sign_in(ann.page, ann.email)
        await expect(ann.page).to_have_url(re.compile(r"/my/jobs\?tab=all$"))
        await expect(ann.page.get_by_role("heading", name="My jobs")).to_be_visible()
        await live(ann.page)
    kept = orjson.loads(await ann.page.evaluate("() => localStorage.getItem('rialto.session')"))
    assert kept["tokens"]["refresh_token"] != "old"
