"""A market with a client, two freelancers and an admin."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.settings import Settings
from tests.handlers.market import Market, Person, opened


@pytest.fixture
async def market(settings: Settings) -> AsyncIterator[Market]:
    async with opened(settings) as running:
        yield running


@pytest.fixture
async def client(market: Market) -> Person:
    return await market.person("client")


@pytest.fixture
async def ann(market: Market) -> Person:
    return await market.person("freelancer")


@pytest.fixture
async def bob(market: Market) -> Person:
    return await market.person("freelancer")


@pytest.fixture
async def admin(market: Market) -> Person:
    return await market.person("both", admin=True)
