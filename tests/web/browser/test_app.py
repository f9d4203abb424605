"""The app opens at every instance, as it was built, and lets people in."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, Response, expect

from tests.cluster.cluster import Cluster
from tests.cluster.proxy import Proxy
from tests.waiting import until
from tests.web.browser.people import PASSWORD, People

MOST_SCRIPT = 120_000
"""Bytes of JavaScript, compressed, before the market can be used."""


async def signed_in(page: Page) -> None:
    """Return when the app shows its own pages to whom it knows."""
    await page.goto("/me")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page).to_have_url(re.compile("/me$"))


@pytest.mark.parametrize("number", [0, 1])
async def test_it_opens_and_people_sign_in(person: People, market: Cluster, number: int) -> None:
    url = market.urls[number]
    ann = await person("Ann", at=url)
    nobody = await person.anonymous(at=url)
    page = nobody.page
    await page.goto("/")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await nobody.portraits(f"market-{number}")
    await page.goto("/me")
    await expect(page).to_have_url(re.compile("/sign-in"))
    await page.get_by_label("Email").fill(ann.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(re.compile("/me$"))
    await signed_in(page)


async def test_whoever_was_signed_in_still_is(person: People, front: Proxy) -> None:
    for at in (None, front.plain):
        ann = await person("Ann", at=at)
        await signed_in(ann.page)
        await ann.page.reload()
        await signed_in(ann.page)


async def test_its_files_travel_compressed_and_stay(person: People, market: Cluster, front: Proxy) -> None:
    for url in (market.urls[0], front.plain):
        nobody = await person.anonymous(at=url)
        sizes: dict[str, int] = {}
        responses: list[Response] = []
        nobody.page.on("response", lambda response, heard=responses: heard.append(response))
        await nobody.page.goto("/", wait_until="networkidle")
        await expect(nobody.page.get_by_role("heading", level=1)).to_be_visible()
        for response in responses:
            path = response.url.removeprefix(url)
            headers = await response.all_headers()
            if path == "/":
                assert headers["cache-control"] == "no-cache"
                assert "default-src 'self'" in headers["content-security-policy"]
            elif path.startswith("/assets/"):
                assert headers["cache-control"] == "public, max-age=31536000, immutable", path
                if path.endswith((".js", ".css")) and int(headers["content-length"]) > 1024:
                    assert headers["content-encoding"] == "br", path
            if path.endswith(".js"):
                sizes[path] = int(headers["content-length"])
        assert 0 < sum(sizes.values()) <= MOST_SCRIPT, sizes


async def test_complaints_are_heard(person: People) -> None:
    """The harness itself: what is an error in the console, thrown, or against the content policy is noted."""
    nobody = await person.anonymous()
    await nobody.page.goto("/")
    provocations = {
        "said on purpose": "console.error('said on purpose')",
        "thrown on purpose": "setTimeout(() => { throw new Error('thrown on purpose') })",
        "Content Security Policy": "document.body.setAttribute('style', 'color: red')",
    }
    for sign, script in provocations.items():
        await nobody.page.evaluate(f"() => {{ {script} }}")
        await until(lambda sign=sign: any(sign in text for text in nobody.complaints.heard))  # type: ignore[misc]
    nobody.complaints.heard.clear()
    with nobody.complaints.expected("on purpose"):
        await nobody.page.evaluate("() => { console.error('once more, on purpose'); console.error('the end') }")
        await until(lambda: nobody.complaints.heard)
    assert ["the end" in text for text in nobody.complaints.heard] == [True]
    nobody.complaints.heard.clear()
