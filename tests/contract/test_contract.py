"""The whole contract with the official JavaScript client, against two instances as processes of their own."""

from __future__ import annotations

import json

import pytest

from tests.contract import node


@pytest.mark.parametrize("program", ["accounts", "jobs", "auctions", "streams", "operations"])
async def test_contract(instances: list[str], program: str) -> None:
    await node.run(f"{program}.test.mjs", CONTRACT_URLS=json.dumps(instances))
