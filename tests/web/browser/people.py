"""People at their browsers: each has a context of its own, and what goes wrong in it is noted."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, WebError

from server.dev.api import Api

ARTIFACTS: Final = Path(__file__).parents[2] / "artifacts" / "browser"
"""Pictures for people; git ignores them."""

PASSWORD: Final = "correct horse battery"

WIDTHS: Final = {360: 740, 1440: 900}
"""Of a small phone and of a desk, with the heights that belong to them."""

_KEPT: Final = "rialto.session"
"""Where the app keeps the login (web/app/src/lib/market.svelte.ts)."""


@dataclass
class Complaints:
    """What the browser complained of on somebody's pages: console errors, exceptions, what the content policy blocked."""

    heard: list[str] = field(default_factory=list)
    _expected: list[re.Pattern[str]] = field(default_factory=list)

    def listen(self, context: BrowserContext) -> None:
        """Note what is complained of from now on."""
        context.on("console", self._console)
        context.on("weberror", self._error)

    @contextmanager
    def expected(self, pattern: str) -> Iterator[None]:
        """Within this, complaints that match are none: a server that is down is an error in any console."""
        compiled = re.compile(pattern)
        self._expected.append(compiled)
        try:
            yield
        finally:
            self._expected.remove(compiled)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"{message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self._note(str(error.error))

    def _note(self, text: str) -> None:
        if not any(pattern.search(text) for pattern in self._expected):
            self.heard.append(text)


@dataclass
class Person:
    """Somebody with an account, signed in; or nobody in particular.

    Attributes:
        page: the first tab; `page.goto("/jobs/1")` is at the instance that the person was given.
        api: the same account over REST, at the same instance.
        user: the user's id, empty for an anonymous one.
    """

    name: str
    email: str
    user: str
    api: Api
    context: BrowserContext
    page: Page
    complaints: Complaints

    async def portraits(self, name: str) -> None:
        """The page at both widths, light and dark, as pictures in ARTIFACTS; nothing is left changed."""
        before = self.page.viewport_size
        for width, height in WIDTHS.items():
            await self.page.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                await self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                await picture(self.page, f"{name}-{width}-{scheme}")
        await self.page.emulate_media(color_scheme="null")
        if before is not None:
            await self.page.set_viewport_size(before)


class People:
    """Makes people; ends their contexts."""

    def __init__(self, browser: Browser, http: aiohttp.ClientSession, url: str) -> None:
        self._browser = browser
        self._http = http
        self._url = url
        self.all: list[Person] = []

    async def __call__(self, name: str = "Ann", *, role: str = "both", at: str | None = None, **options: Any) -> Person:
        """Somebody new with an account, whose pages are signed in already.

        Args:
            name, role: of the account.
            at: the URL of an instance or a proxy; by default the first instance.
            options: of the browser's context, such as `viewport` or `color_scheme`.
        """
        url = at or self._url
        email = f"{name.lower()}.{secrets.token_hex(6)}@example.com"
        registration = {"email": email, "password": PASSWORD, "name": name, "role": role}
        async with self._http.post(f"{url}/api/v1/auth/register", json=registration) as answer:
            made = await answer.json()
            assert answer.status == 201, made
        api = Api(self._http, url, email=email, password=PASSWORD)
        api.token = made["access_token"]
        return await self._open(name, email, made["user"]["id"], api, url, _storage(url, made), options)

    async def anonymous(self, *, at: str | None = None, **options: Any) -> Person:
        """Somebody who isn't signed in."""
        url = at or self._url
        return await self._open("nobody", "", "", Api(self._http, url), url, None, options)

    async def close(self) -> None:
        """End all contexts."""
        for person in self.all:
            await person.context.close()

    async def _open(
        self, name: str, email: str, user: str, api: Api, url: str, storage: Any, options: dict[str, Any]
    ) -> Person:
        context = await self._browser.new_context(
            **{"base_url": url, "storage_state": storage, "locale": "en-GB", "reduced_motion": "reduce", **options}
        )
        complaints = Complaints()
        complaints.listen(context)
        person = Person(name, email, user, api, context, await context.new_page(), complaints)
        self.all.append(person)
        return person


async def picture(page: Page, name: str) -> None:
    """A picture of what of the page is to be seen, once its fonts are there."""
    await page.evaluate("document.fonts.ready.then(() => true)")
    await page.screenshot(path=ARTIFACTS / f"{name}.png", animations="disabled")


def _storage(url: str, made: dict[str, Any]) -> dict[str, Any]:
    """What the browser has kept of a login, as the app keeps it."""
    tokens = {
        "access_token": made["access_token"],
        "refresh_token": made["refresh_token"],
        "expires_at": (time.time() + made["expires_in"]) * 1000,
    }
    kept = orjson.dumps({"tokens": tokens, "user": made["user"]}).decode()
    return {"cookies": [], "origins": [{"origin": url, "localStorage": [{"name": _KEPT, "value": kept}]}]}
