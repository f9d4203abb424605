"""Two browsers and one script bid against each other, at two instances."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.cluster.cluster import Cluster
from tests.waiting import patiently
from tests.web.browser.people import People, Person
from tests.web.browser.scenes import (
    STEP,
    Posted,
    bid_at_once,
    bid_by_hand,
    bids_of,
    euros,
    open_live,
    post,
    price,
    shows,
)


async def test_two_browsers_and_a_script_see_one_auction(person: People, market: Cluster) -> None:
    owner = await person("Olga", role="client")
    ann = await person("Ann", role="freelancer", at=market.urls[0])
    bob = await person("Bob", role="freelancer", at=market.urls[1])
    script = (await person("Script", role="freelancer", at=market.urls[1])).api
    posted = await post(owner.api)
    for one in (ann, bob):
        await open_live(one, posted.path)

    await bid_at_once(ann.page)
    await expect(ann.page.get_by_text("Your bid counts: you lead")).to_be_visible()
    await expect(price(bob.page)).to_have_text(euros(100_000))
    await bid_by_hand(bob.page, 100_000 - 3 * STEP)
    await expect(price(ann.page)).to_have_text(euros(100_000 - 3 * STEP))
    await expect(ann.page.get_by_text("Outbid.", exact=True)).to_be_visible()
    await posted.bid(script, 100_000 - 5 * STEP)
    for one in (ann, bob):
        await expect(price(one.page)).to_have_text(euros(100_000 - 5 * STEP))
    await bid_at_once(bob.page)
    await expect(price(ann.page)).to_have_text(euros(100_000 - 6 * STEP))
    await bid_at_once(ann.page)
    await patiently(lambda: _counted(posted, ann, 5), "five bids")

    assert await bids_of(posted, ann.api) != await bids_of(posted, bob.api)
    for one in (ann, bob):
        bids = await bids_of(posted, one.api)
        assert [name for _, name in bids].count("You") == 2
        await shows(one.page, bids)
        await expect(price(one.page)).to_have_text(bids[0][0])


async def test_the_bell_of_who_is_outbid_rings_on_any_page(person: People, market: Cluster) -> None:
    owner = await person("Olga", role="client")
    ann = await person("Ann", role="freelancer", at=market.urls[0])
    script = (await person("Script", role="freelancer", at=market.urls[1])).api
    posted = await post(owner.api)
    await posted.bid(ann.api, 99_000)
    await open_live(ann, "/")
    await expect(ann.page.get_by_role("link", name="Notifications, 1 unread")).to_be_visible()  # that she leads
    (leads,) = (await ann.api.get("/notifications"))["items"]
    await ann.api.post("/notifications/read", {"seq": leads["seq"]})
    await expect(ann.page.get_by_role("link", name="Notifications", exact=True)).to_be_visible()
    await posted.bid(script, 90_000)
    await ann.page.get_by_role("link", name="Notifications, 1 unread").click()
    news = ann.page.get_by_role("link").filter(has_text="You were outbid").filter(has_text=posted.title)
    await expect(news).to_contain_text(euros(90_000))
    await news.click()
    await expect(ann.page).to_have_url(re.compile(f"{posted.path}$"))
    await expect(ann.page.get_by_text("Outbid.", exact=True)).to_be_visible()


async def test_a_sniped_bid_extends_the_countdown(person: People, market: Cluster) -> None:
    owner = await person("Olga", role="client")
    ann = await person("Ann", role="freelancer", at=market.urls[0])
    bob = await person("Bob", role="freelancer", at=market.urls[1])
    for one in (ann, bob):
        await open_live(one, "/")
    posted = await post(owner.api, ends_s=240, soft_close={"window_s": 300, "extension_s": 1_200})
    for one in (ann, bob):
        await open_live(one, posted.path)
        await expect(one.page.locator(".clock")).to_contain_text("In its last 5 min")
        assert await _seconds_left(one.page) <= 241  # shown in whole seconds
    await bid_at_once(ann.page)
    for one in (ann, bob):
        await expect(one.page.locator(".clock")).to_contain_text("the end has moved")
        await expect(one.page.locator(".clock .more")).to_be_visible()
    end = (await posted.state(bob.api))["end_at"]
    for one in (ann, bob):
        await expect(one.page.locator(".clock .left time")).to_have_attribute("datetime", end)
        assert 240 < await _seconds_left(one.page) <= 1_201
        await expect(one.page.get_by_role("region", name="Bids").locator(".note").first).to_contain_text("Extended by")


async def _counted(posted: Posted, one: Person, count: int) -> bool:
    return len(await bids_of(posted, one.api)) == count


async def _seconds_left(page: Page) -> int:
    minutes, seconds = (await page.locator(".clock .left time [aria-hidden]").inner_text()).split(":")
    return int(minutes) * 60 + int(seconds)
