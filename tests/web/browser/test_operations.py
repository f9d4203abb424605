"""The operations page, for admins."""

from __future__ import annotations

import re
from itertools import count, cycle

from playwright.async_api import expect

from tests.cluster.cluster import WORKER, Cluster
from tests.waiting import patiently
from tests.web.browser.people import PASSWORD, People, Person
from tests.web.browser.scenes import GONE, brand, branded, post


async def operations(person: People, market: Cluster) -> Person:
    """An admin who sees the page."""
    ada = await person("Ada")
    code, said = await market.rialto("grant-admin", ada.email)
    assert code == 0, said
    admin = await person.anonymous()  # whoever was signed in before isn't one yet
    await admin.page.goto("/sign-in?next=/ops")
    await admin.page.get_by_label("Email").fill(ada.email)
    await admin.page.get_by_label("Password").fill(PASSWORD)
    await admin.page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await expect(admin.page.get_by_role("table").get_by_role("row")).to_have_count(4)
    return admin


async def test_every_process_is_told_of(person: People, market: Cluster) -> None:
    admin = await operations(person, market)
    page = admin.page
    table = page.get_by_role("table")
    await expect(table.get_by_text("Ready")).to_have_count(3)
    bids = page.get_by_role("img", name=re.compile("Bids, the last five minutes"))
    await expect(bids).to_be_visible()
    await brand(page)

    first, other = market.instances
    for name in (other, WORKER):
        row = table.get_by_role("row").filter(has_text=name)
        await market.kill(name)
        await expect(row.get_by_text("Gone")).to_be_visible()
        await expect(page.get_by_role("status").filter(has_text=f"Gone: {name}")).to_have_count(1)
        await market.heal()
        await expect(row.get_by_text("Ready")).to_be_visible()
        await expect(row.get_by_text("started anew")).to_be_visible()

    # The one that answers goes away itself: what was last told stays, and is said to be old.
    with admin.complaints.expected(GONE + "|Failed to load resource"):
        await market.kill(first)
        await expect(page.get_by_text("These are the last figures that came")).to_be_visible()
        await expect(table.get_by_role("row")).to_have_count(4)
        await market.heal()
        await expect(page.get_by_text("These are the last figures that came")).to_have_count(0)
    await expect(table.get_by_text("Ready")).to_have_count(3)
    assert await branded(page)


async def test_bids_move_the_charts(person: People, market: Cluster) -> None:
    page = (await operations(person, market)).page
    row = page.get_by_role("table").get_by_role("row").filter(has_text=next(iter(market.instances)))
    rate = row.get_by_role("cell").nth(4)
    await expect(rate).to_have_text(re.compile(r"^0"))
    ann = await person("Ann", role="client")
    bidders = cycle([(await person(name, role="freelancer")).api for name in ("Bob", "Eve")])
    posted = await post(ann.api, increments=[{"from": 0, "step": 1}])
    amounts = count(90_000, -1)

    async def told() -> bool:
        await posted.bid(next(bidders), next(amounts))
        return re.fullmatch(r"[1-9][0-9.,]*/s", await rate.inner_text()) is not None

    await patiently(told, "the bids to be told of")


async def test_nobody_else_sees_it(person: People) -> None:
    ann = await person("Ann")
    await ann.page.goto("/ops")
    await expect(ann.page.get_by_role("table")).to_have_count(0)
    await expect(ann.page.get_by_role("heading", level=1, name="Operations")).to_have_count(0)
    nobody = await person.anonymous()
    await nobody.page.goto("/ops")
    await expect(nobody.page).to_have_url(re.compile("/sign-in"))
