"""The official JavaScript client on the harness: binary both ways, acks, upgrades, namespaces."""

from __future__ import annotations

from tests.conformance.conftest import Harness
from tests.contract import node


async def test_official_client(harness: Harness) -> None:
    await node.run("conformance.test.mjs", HARNESS_URL=harness.url)
