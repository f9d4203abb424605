"""The real market with the built app, and a real browser before it.

A test asks for `person` and gets somebody signed in: `ann = await person("Ann", role="client")`, `await ann.page.goto("/")`. At its end
it fails if any page complained in its console, and leaves pictures of the pages in tests/artifacts/browser if it failed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, async_playwright, expect

from server.dev import site
from tests.cluster.cluster import NAMES, Cluster
from tests.cluster.conftest import GENEROUS
from tests.cluster.databases import Shared
from tests.cluster.debian import installed_program
from tests.cluster.proxy import Proxy
from tests.waiting import PATIENCE_S
from tests.web.browser.people import People, picture
from tests.web.browser.road import Road

_FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=PATIENCE_S * 1000)

FLAGS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # tests reach nothing but loopback
    "--disable-dev-shm-usage",  # there may be next to none in a container
    *(("--no-sandbox",) if os.geteuid() == 0 else ()),  # root has none
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test may have to install the browser and to build the app."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep whether the test itself failed, for `person`."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
async def built_app() -> Path:
    """The folder of the app, as its sources are now."""
    try:
        return await asyncio.to_thread(site.build)
    except site.Unbuilt as error:
        pytest.fail(f"the web app could not be built: {error}", pytrace=False)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    program = await asyncio.to_thread(installed_program, "chromium", "chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def running_market(
    built_app: Path,
    mongodb_url: str,
    redis_url: str,
    module_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Cluster]:
    """Two instances that serve the app, and a worker."""
    async with Cluster(
        tmp_path_factory.mktemp("market"),
        Shared(mongodb_url, redis_url, module_database),
        instances=NAMES[:2],
        settings={"RIALTO_SITE_DIR": str(built_app)},
    ) as cluster:
        yield cluster


@pytest.fixture
async def market(running_market: Cluster) -> Cluster:
    """`running_market`, whole again whatever the test before did to it."""
    await running_market.heal()
    return running_market


@pytest.fixture(scope="module")
async def running_front(running_market: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    """nginx before both instances."""
    async with Proxy(tmp_path_factory.mktemp("front"), running_market.instances, settings=GENEROUS) as proxy:
        yield proxy


@pytest.fixture
def front(market: Cluster, running_front: Proxy) -> Proxy:
    """nginx before a market that is whole: `person("Ann", at=front.plain)` stays on one address whichever instance dies."""
    return running_front


@pytest.fixture
async def road(market: Cluster) -> AsyncIterator[Road]:
    """A way to the first instance that can be cut."""
    async with Road(market.urls[0]) as road:
        yield road


@pytest.fixture
async def person(
    request: pytest.FixtureRequest,
    browser: Browser,
    market: Cluster,
    road: Road,  # outlives the pages: what they still send at their end has to arrive
) -> AsyncIterator[People]:
    """Makes people, see `People`; the test fails at its end if the browser complained on any of their pages."""
    async with aiohttp.ClientSession() as http:
        people = People(browser, http, market.urls[0])
        yield people
        complaints = [f"{one.name}: {text}" for one in people.all for text in one.complaints.heard]
        if complaints or request.node.stash.get(_FAILED, False):
            for number, one in enumerate(people.all):
                for tab, page in enumerate(one.context.pages):
                    await picture(page, f"failed-{request.node.name}-{number}-{one.name}-{tab}")
        await people.close()
        assert not complaints, "\n".join(complaints)
