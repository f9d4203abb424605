"""A logout closes the sockets of its login on every instance, with Valkey and without, and nobody else's."""

from __future__ import annotations

import aiohttp
import pytest

from loadtest.revoke import measure, show
from tests.cluster.devices import Devices
from tests.cluster.proxy import Proxy
from tests.server.realtime.wire import Wire
from tests.soak.accounts import Account, registered
from tests.soak.cluster import Cluster


@pytest.mark.parametrize("valkey", [True, False], ids=["with Valkey", "without"])
async def test_closes_all_sockets_of_the_login(cluster: Cluster, proxy: Proxy, valkey: bool) -> None:
    urls = [*cluster.urls, *[proxy.plain] * 3]
    async with aiohttp.ClientSession() as http:
        ann = await registered(http, cluster.urls[0], "freelancer")
        elsewhere = await second_login(ann)
        bob = await registered(http, cluster.urls[1], "freelancer")
        if not valkey:
            await cluster.databases.kill_valkey()
            for name in cluster.names:
                await cluster.ready(name, "degraded")
        async with (
            Devices(urls, ann.token) as ended,
            Devices(cluster.urls, elsewhere) as others,
            Devices(cluster.urls, bob.token) as strangers,
        ):
            assert ended.homes == set(cluster.names)
            await ended.log_out(http, cluster.urls[2])
            await others.answer()
            await strangers.answer()
            for url in cluster.urls:
                async with Wire(url, "websocket") as wire:
                    assert await wire.connect("/chat", {"token": ann.token}) == {"message": "UNAUTHENTICATED"}


async def test_is_measured(cluster: Cluster, proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    async with aiohttp.ClientSession() as http:
        outcomes = await measure(cluster, proxy, http, 2)
    assert all(outcome.asked < min(outcome.answered, outcome.over) for outcome in outcomes)
    show(outcomes, outcomes)
    printed = capsys.readouterr().out
    assert "2 logouts each" in printed
    assert [line.count(".") for line in printed.splitlines()[2:]] == [4] * 4


async def second_login(account: Account) -> str:
    """The access token of another login of the same user."""
    first = account.token
    await account.api.sign_in()
    second = account.token
    account.api.token = first
    return second
