"""The whole contract with the official JavaScript client: against two instances, and through nginx before three of them."""

from __future__ import annotations

import json

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.proxy import Proxy
from tests.contract import node

programs = pytest.mark.parametrize(
    "program", ["accounts", "jobs", "auctions", "streams", "chat", "notifications", "operations"]
)


@programs
async def test_contract(cluster: Cluster, program: str) -> None:
    await node.run(f"{program}.test.mjs", CONTRACT_URLS=json.dumps(cluster.urls[:2]))


@programs
async def test_contract_through_nginx(proxy: Proxy, program: str) -> None:
    """Wherever a program says A or B, it is nginx that chooses the instance; over TLS, as people come."""
    await node.run(
        f"{program}.test.mjs",
        CONTRACT_URLS=json.dumps([proxy.url, proxy.url]),
        NODE_EXTRA_CA_CERTS=str(proxy.certificate),
    )
