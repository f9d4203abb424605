"""A job with its live auction, as bidders, its client and onlookers see it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.waiting import PATIENCE_S
from tests.web.browser.axe import accessible
from tests.web.browser.people import People, Person

PATIENT = PATIENCE_S * 1000
HOSTILE = "<script>document.title='taken'</script> <img src=x onerror=alert(1)> \u05e9\u05dc\u05d5\u05dd "


async def post(client: Person, *, runs_s: float = 7200, title: str = "Paint a bridge", **terms: Any) -> dict[str, Any]:
    """A job of the client's with an auction; it starts at 1,000.00 and steps are 10.00 unless told."""
    end_at = (datetime.now(UTC) + timedelta(seconds=runs_s)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    auction = {
        "format": "reverse",
        "start_amount": 100_000,
        "increments": [{"from": 0, "step": 1000}],
        "end_at": end_at,
        **terms,
    }
    body = {
        "title": title,
        "description": "Two coats, in the colour of the lagoon.",
        "category": "painting",
        "skills": ["painting"],
        "budget": {"min": 0, "max": 100_000, "currency": "EUR"},
        "auction": auction,
    }
    job: dict[str, Any] = await client.api.post("/jobs", body)
    return job


async def watch(person: Person, job: dict[str, Any]) -> Page:
    """The job on the person's page, once it is live."""
    await person.page.goto(f"/jobs/{job['id']}")
    await expect(ticket(person.page)).to_be_visible(timeout=PATIENT)
    await expect(person.page.get_by_role("status").filter(has_text="Live").first).to_be_visible(timeout=PATIENT)
    return person.page


def ticket(page: Page) -> Locator:
    """Price, countdown and what can be bid."""
    return page.get_by_role("region", name="Auction", exact=True)


def ledger(page: Page) -> Locator:
    """The bids and what else happened."""
    return page.get_by_role("region", name=re.compile("^(Bids|What happened)$"))


async def shows(where: Locator | Page, text: str | re.Pattern[str]) -> None:
    """Return once the text is there."""
    await expect(where.get_by_text(text).first).to_be_visible(timeout=PATIENT)


async def press(where: Locator | Page, name: str | re.Pattern[str]) -> None:
    """Press a button by its name."""
    await where.get_by_role("button", name=name).first.click(timeout=PATIENT)


async def test_what_is_refused_is_said_and_can_be_mended(person: People) -> None:
    client, ann, bob = await person("Clara", role="client"), await person("Ann"), await person("Bob")
    job = await post(client, confirm_jump_percent=20)
    page = await watch(ann, job)
    form = ticket(page)
    await form.get_by_label("Your bid").fill("500")
    await press(form, "Place bid")
    dialog = page.get_by_role("dialog")
    await shows(dialog, re.compile("50 % below"))
    await press(dialog, "Change it")
    await form.get_by_label("Your bid").fill("1100")
    await press(form, "Place bid")
    await shows(form, re.compile("at most €1,000"))
    await form.get_by_text("Automatic", exact=True).click()
    await form.get_by_label("Your limit").fill("900")
    await press(form, "Set my limit")
    await shows(form, "You lead.")
    await bob.api.post(f"/auctions/{job['auction']['id']}/bids", {"amount": 95_000}, key="bob-1")
    await shows(ledger(page), "your automatic bid answered with €940.00")
    await shows(form, "Your limit is €900.00")
    await form.get_by_label("A better limit").fill("950")
    await press(form, "Better my limit")
    await shows(form, re.compile("isn't better"))
    await accessible(page)


async def test_a_bid_is_taken_back(person: People) -> None:
    client, ann = await person("Clara", role="client"), await person("Ann")
    job = await post(client)
    page = await watch(ann, job)
    await press(ticket(page), re.compile("the start"))
    await ticket(page).get_by_text("Your bid", exact=True).last.click(timeout=PATIENT)
    await press(ticket(page), re.compile("^Take back"))
    await press(page.get_by_role("dialog"), "Take back")
    await shows(ledger(page), re.compile("taken back"))
    await shows(ticket(page), "0 bids")


async def test_sealed_bids_stay_closed(person: People) -> None:
    client, ann = await person("Clara", role="client"), await person("Ann")
    job = await post(client, format="sealed")
    page, hers = await watch(ann, job), await watch(client, job)
    await ticket(page).get_by_label("Your amount").fill("800")
    await press(ticket(page), "Submit sealed bid")
    await shows(ticket(page), "Your sealed bid")
    await shows(hers, "The sealed bids are opened for everybody, you included, at the end.")
    await expect(hers.get_by_text("€800")).to_have_count(0)
    await accessible(page)


async def test_proposals_are_negotiated_and_one_is_chosen(person: People) -> None:
    client, ann = await person("Clara", role="client"), await person("Ann")
    job = await post(client, format="proposal")
    page, hers = await watch(ann, job), await watch(client, job)
    await ticket(page).get_by_label("Your amount").fill("900")
    await ticket(page).get_by_label("Days until it is done").fill("12")
    await ticket(page).get_by_label("Cover letter").fill(HOSTILE)
    await press(ticket(page), "Send proposal")
    await shows(hers, "12 days")
    await shows(hers, re.compile("onerror"))
    await accessible(hers)
    await press(hers, re.compile("^Counter-offer"))
    dialog = hers.get_by_role("dialog")
    await dialog.get_by_label("Amount").fill("850")
    await dialog.get_by_label("Message").fill("Could you do it for <b>less</b>?")
    await press(dialog, "Send it")
    await shows(ticket(page), re.compile("The client offers €850.00"))
    await shows(ticket(page), "Could you do it for <b>less</b>?")
    await page.get_by_role("link", name="Notifications, 1 unread").click()
    await page.get_by_role("link").filter(has_text="The client offers €850.00 in 12 days").click()
    await press(ticket(page), "Propose just that")
    proposal = hers.get_by_role("region", name="Proposals").locator("li")
    await expect(proposal).to_contain_text(re.compile(r"€850\.00.*12 days.*onerror", re.DOTALL))
    await expect(ticket(page).get_by_text("The client offers")).to_have_count(0)
    await press(hers, re.compile("^Choose"))
    await press(hers.get_by_role("dialog"), "Award the job")
    await shows(page, "You have won")
    await press(page, "Decline…")
    await press(page.get_by_role("dialog"), "Decline the job")
    await press(hers, "Reopen…")
    await press(hers.get_by_role("dialog"), "Reopen")
    await expect(page.get_by_text("is in.")).to_have_count(0)  # it was declined, and doesn't count any more
    await ticket(page).get_by_label("Your amount").fill("840")
    await press(ticket(page), "Send proposal")
    await shows(ticket(page), "Your offer of €840.00 is in.")
    await press(hers, re.compile("^Choose"))
    await press(hers.get_by_role("dialog"), "Award the job")
    await press(page, "Accept the job")  # another answer than the first one
    await shows(page, re.compile("You have accepted"))
    await shows(hers, "The winner has accepted, and the work is under way.")
    await hers.get_by_role("link", name=re.compile("^Notifications, ")).click()
    await expect(hers.get_by_role("link").filter(has_text="Ann accepts the job at €840.00")).to_be_visible()


async def test_the_client_cancels(person: People) -> None:
    client, nobody = await person("Clara", role="client"), await person.anonymous()
    job = await post(client)
    page, theirs = await watch(client, job), await watch(nobody, job)
    await press(page, re.compile("^Cancel the job"))
    await page.get_by_role("dialog").get_by_label("Why").fill("The bridge is gone.")
    await press(page.get_by_role("dialog"), "Cancel the job")
    await shows(theirs, re.compile("Cancelled by the client: “The bridge is gone.”"))
    await expect(ticket(theirs).get_by_text("Sign in to bid")).to_have_count(0)


async def test_a_job_that_is_not_there(person: People) -> None:
    nobody = await person.anonymous()
    with nobody.complaints.expected("404"):
        await nobody.page.goto("/jobs/nothing")
        await shows(nobody.page, "There is no such job")
