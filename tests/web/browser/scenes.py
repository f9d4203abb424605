"""What the scenes share: jobs with auctions, bids of people who need no browser, and what a job's page shows of them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from playwright.async_api import Locator, Page, expect

from server.dev.api import Api
from server.dev.demo import rfc3339
from tests.waiting import patiently
from tests.web.browser.people import Person

STEP: Final = 1_000
"""The least that a bid must be better, in minor units."""

GONE: Final = r"net::ERR_|WebSocket|50[234]"
"""What a browser says of a server that it can't reach."""

ENDED: Final = "401|WebSocket is already in CLOSING"
"""What a browser says of calls with tokens that are dead, and of a last word on a connection that is ending for that."""

Bids = list[tuple[str, str]]
"""Amounts and bidders, as they are shown; the newest first."""


@dataclass(frozen=True)
class Posted:
    """A job with an auction."""

    job: str
    auction: str
    title: str

    @property
    def path(self) -> str:
        """Of its page."""
        return f"/jobs/{self.job}"

    async def events(self, api: Api) -> list[dict[str, Any]]:
        """Everything that has happened, oldest first."""
        page = await api.get(f"/streams/auction:{self.auction}/events", after=0, limit=1000)
        assert not page["more"]
        return cast(list[dict[str, Any]], page["events"])

    async def state(self, api: Api) -> dict[str, Any]:
        """The auction as `api` may see it."""
        return cast(dict[str, Any], await api.get(f"/auctions/{self.auction}"))

    async def bid(self, api: Api, amount: int, **more: Any) -> dict[str, Any]:
        """A bid over REST."""
        body = {"amount": amount, "confirm": True, **more}
        return cast(dict[str, Any], await api.post(f"/auctions/{self.auction}/bids", body, key=secrets.token_hex(8)))


async def post(owner: Api, *, ends_s: float = 3_600, job: dict[str, Any] | None = None, **terms: Any) -> Posted:
    """A job with an auction; `terms` are the auction's, `job` other fields of the job."""
    body = {
        "title": "Repaint a gondola",
        "description": "Eleven metres, black, two coats.",
        "category": "boats",
        "skills": ["painting"],
        "budget": {"min": 10_000, "max": 100_000, "currency": "EUR"},
        "location": {"remote": True},
        "auction": {
            "format": "reverse",
            "start_amount": 100_000,
            "end_at": rfc3339(datetime.now(UTC) + timedelta(seconds=ends_s)),
            "increments": [{"from": 0, "step": STEP}],
            **terms,
        },
        **(job or {}),
    }
    made = await owner.post("/jobs", body, key=secrets.token_hex(8))
    return Posted(made["id"], made["auction"]["id"], made["title"])


async def bids_of(posted: Posted, api: Api) -> Bids:
    """The bids as the page of whose `api` it is should show them."""
    own = ((await posted.state(api)).get("mine") or {}).get("pseudonym")
    return [
        (euros(event["amount"]), "You" if event["bidder"] == own else event["bidder"])
        for event in reversed(await posted.events(api))
        if event["type"] == "bid"
    ]


def euros(amount: int) -> str:
    """Minor units as pages in English show them."""
    return f"€{amount / 100:,.2f}"


async def ladder(page: Page) -> Bids:
    """The bids as a job's page shows them."""
    rows = (
        await page.get_by_role("region", name="Bids")
        .locator("li.line:not(.note)")
        .evaluate_all(
            "rows => rows.map(row => [row.querySelector('.amount').textContent, row.querySelector('.name').textContent])"
        )
    )
    return [(amount.strip(), name.strip()) for amount, name in cast(Sequence[Sequence[str]], rows)]


def price(page: Page) -> Locator:
    """The price of an auction, on its ticket."""
    return page.get_by_role("region", name="Auction").locator(".figure")


async def shows(page: Page, bids: Bids) -> None:
    """Return when a job's page shows exactly these bids, in this order."""

    async def look() -> bool:
        return await ladder(page) == bids

    await patiently(look, f"{bids} to be shown", progress=lambda: page.url)


async def bid_at_once(page: Page) -> None:
    """Press the button with the least that leads."""
    await page.get_by_role("group", name="Bid at once").get_by_role("button").first.click()


async def bid_by_hand(page: Page, amount: int) -> None:
    """Type an amount and place it."""
    await page.get_by_label("Your bid", exact=False).fill(f"{amount / 100:.2f}")
    await page.get_by_role("button", name="Place bid").click()


async def live(page: Page) -> None:
    """Return when the page says that what it shows is live."""
    await expect(page.get_by_role("status").filter(has_text=re.compile("^Live$"))).to_be_visible()


async def open_live(person: Person, path: str) -> None:
    """Go to a page, and return when it is live."""
    await person.page.goto(path)
    await live(person.page)


async def brand(page: Page) -> None:
    """Mark the page, so that `branded` tells whether it was ever loaded anew."""
    await page.evaluate("() => { window.brand = 'this very page' }")


async def branded(page: Page) -> bool:
    """Whether the page is the one that was marked."""
    return bool(await page.evaluate("() => window.brand === 'this very page'"))
