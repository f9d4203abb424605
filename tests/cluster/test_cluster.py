"""Three real instances behind the real nginx: clients stay where their session lives, and go on when that is gone."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import SITE
from tests.cluster.proxy import Proxy
from tests.contract import node
from tests.server.realtime.wire import Closed, Wire
from tests.waiting import until


async def run(proxy: Proxy, program: str, **environment: str) -> None:
    """A test program of tests/js, over TLS."""
    await node.run(
        f"{program}.test.mjs",
        CONTRACT_URLS=json.dumps([proxy.url, proxy.url]),
        NODE_EXTRA_CA_CERTS=str(proxy.certificate),
        **environment,
    )


@pytest.mark.parametrize("transport", ["websocket", "polling", "default"])
async def test_stock_clients(cluster: Cluster, proxy: Proxy, transport: str) -> None:
    before = len(proxy.log())
    pids = {name: cluster.children[name].pid for name in cluster.names}
    await run(proxy, "cluster", CLUSTER_TRANSPORT=transport, CLUSTER_PIDS=json.dumps(pids))
    requests = [line for line in proxy.log()[before:] if line["path"] == "/socket.io/"]
    assert {line["upstream"].rpartition("127.0.0.1:")[2] for line in requests} >= {
        str(cluster.ports[name]) for name in cluster.names
    }
    if transport == "polling":
        assert len(requests) > 600, len(requests)
        refused = Counter(line["status"] for line in requests if line["status"] >= 400)
        # Three sessions that nobody knows, with a poll and a command each; and those whose instance was killed.
        assert refused[400] <= 6, refused


async def test_http2(proxy: Proxy) -> None:
    await run(proxy, "http2")


class TestInstances:
    async def test_all_have_work(self, cluster: Cluster, proxy: Proxy, http: aiohttp.ClientSession) -> None:
        await all_are_used(cluster, proxy, http)
        seen = Counter([await answerer(http, proxy) for _ in range(60)])
        assert set(seen) == set(cluster.names)
        assert min(seen.values()) >= 10, seen

    async def test_are_left_at_once_when_killed(
        self, cluster: Cluster, proxy: Proxy, http: aiohttp.ClientSession
    ) -> None:
        await cluster.kill("rialto-2")
        seen = Counter([await answerer(http, proxy) for _ in range(60)])
        assert set(seen) == {"rialto-1", "rialto-3"}
        await cluster.start("rialto-2")
        await all_are_used(cluster, proxy, http)

    async def test_are_left_in_peace_while_they_drain(
        self, cluster: Cluster, proxy: Proxy, http: aiohttp.ClientSession
    ) -> None:
        """From SIGTERM to the end, and until it is back, nobody is answered but well."""
        asking = True
        statuses: Counter[int] = Counter()

        async def ask() -> None:
            while asking:
                async with http.get(f"{proxy.plain}/api/v1/users/nobody") as answer:
                    statuses[answer.status] += 1
                async with Wire(proxy.plain, "polling") as wire:
                    statuses[200 if "sid" in wire.opening else 0] += 1

        askers = [asyncio.create_task(ask()) for _ in range(4)]
        assert await cluster.restart("rialto-3") == 0
        asking = False
        await asyncio.gather(*askers)
        assert set(statuses) == {200, 404}

    @pytest.mark.parametrize("kind", ["socket", "event source"])
    async def test_take_those_who_stay_as_soon_as_they_are_back(
        self, cluster: Cluster, proxy: Proxy, http: aiohttp.ClientSession, kind: str
    ) -> None:
        inbox, headers = await somebody(http, proxy)
        async with AsyncExitStack() as held:

            async def home() -> str:
                if kind == "socket":
                    wire = await held.enter_async_context(Wire(proxy.plain, "websocket"))
                    return str(wire.opening["sid"]).partition(".")[0]
                source = await held.enter_async_context(http.get(inbox, headers=headers))
                assert source.content_type == "text/event-stream"
                return source.headers["X-Rialto-Instance"]

            await cluster.kill("rialto-2")
            assert {await home() for _ in range(8)} == {"rialto-1", "rialto-3"}
            await cluster.start("rialto-2")
            await cluster.ready("rialto-2")
            assert [await home() for _ in range(3)] == ["rialto-2"] * 3  # until it has as many as the others
            await all_are_used(cluster, proxy, http)

    async def test_know_each_request_by_the_same_id(
        self, cluster: Cluster, proxy: Proxy, http: aiohttp.ClientSession
    ) -> None:
        given = f"request-{secrets.token_hex(8)}"
        async with http.get(f"{proxy.plain}/api/v1/users/nobody", headers={"X-Request-Id": given}) as answer:
            assert answer.headers.getall("X-Request-Id") == [given]
            assert (await answer.json(content_type=None))["request_id"] == given
            name = answer.headers["X-Rialto-Instance"]
        await until(lambda: any(line.get("request_id") == given for line in cluster.log(name)))
        assert (await proxy.logged(given))["status"] == 404


class TestSessions:
    @pytest.mark.parametrize("transport", ["websocket", "polling"])
    async def test_live_at_the_instance_that_they_name(self, cluster: Cluster, proxy: Proxy, transport: str) -> None:
        homes: set[str] = set()
        while homes != set(cluster.names):  # one that was killed a moment ago is avoided for some seconds
            async with Wire(proxy.plain, transport) as wire:
                await wire.connect("/bidding")
                homes.add(wire.opening["sid"].partition(".")[0])
                assert (await wire.command("sync_time", {"t0": 1}, namespace="/bidding"))["ok"]

    async def test_upgrade_where_they_live(self, cluster: Cluster, proxy: Proxy) -> None:
        for _ in range(12):
            async with Wire(proxy.plain, "polling") as wire:
                await wire.connect("/bidding")
                await wire.upgrade()
                assert (await wire.command("sync_time", {"t0": 1}, namespace="/bidding"))["ok"]

    async def test_end_with_their_instance(self, cluster: Cluster, proxy: Proxy) -> None:
        """A poll for a session whose instance is frozen, dead, or new again is answered, so that the client looks elsewhere."""
        async with Wire(proxy.plain, "polling") as wire:
            home = wire.opening["sid"].partition(".")[0]
            await cluster.kill(home)
            with pytest.raises(Closed, match="502"):
                await wire.get()
            await cluster.start(home)
            await cluster.ready(home)
            with pytest.raises(Closed, match="400"):
                await wire.get()

    async def test_are_not_interrupted_by_a_reload(self, cluster: Cluster, proxy: Proxy) -> None:
        async with Wire(proxy.plain, "websocket") as wire:
            await wire.connect("/bidding")
            await proxy.reload()
            for _ in range(20):
                assert (await wire.command("sync_time", {"t0": 1}, namespace="/bidding"))["ok"]
                await asyncio.sleep(0.02)


class TestOperations:
    async def test_stay_inside_or_not(self, cluster: Cluster, proxy: Proxy, http: aiohttp.ClientSession) -> None:
        for name in cluster.names:
            async with http.get(f"{cluster.url(name)}/metrics") as answer:
                assert "websocket_active_connections" in await answer.text()
        for path, status in (("/metrics", 404), ("/health/live", 200), ("/health/ready", 200), ("/api/health", 200)):
            async with http.get(proxy.plain + path) as answer:
                assert answer.status == status, path

    async def test_of_docs(self, proxy: Proxy, http: aiohttp.ClientSession) -> None:
        for path in ("/api/docs", "/api/docs/docs.js", "/api/openapi.json", "/api/asyncapi.json", "/"):
            async with http.get(proxy.plain + path) as answer:
                assert answer.status == 200, path


class TestSite:
    """The web app, from the instances and not from nginx."""

    async def test_comes_as_it_was_compressed(self, proxy: Proxy) -> None:
        async with aiohttp.ClientSession(auto_decompress=False) as http:
            for _ in range(3):
                headers = {"Accept-Encoding": "gzip, deflate, br"}
                async with http.get(f"{proxy.url}/assets/index-1.js", ssl=proxy.trust, headers=headers) as answer:
                    assert (answer.status, await answer.read()) == (200, SITE["assets/index-1.js.br"])
                    assert answer.headers["Content-Encoding"] == "br"
                    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["X-Cache"] == "HIT"
            headers = {"Accept-Encoding": "identity"}
            async with http.get(f"{proxy.url}/assets/index-1.js", ssl=proxy.trust, headers=headers) as answer:
                assert (await answer.read(), answer.headers["X-Cache"]) == (SITE["assets/index-1.js"], "MISS")

    async def test_pages_are_asked_for_again(self, proxy: Proxy, http: aiohttp.ClientSession) -> None:
        async with http.get(f"{proxy.plain}/jobs/1", headers={"Accept": "text/html"}) as answer:
            assert (answer.status, await answer.read()) == (200, SITE["index.html"])
            assert answer.headers["Cache-Control"] == "no-cache"
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            tag = answer.headers["ETag"]
        async with http.get(f"{proxy.plain}/", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, answer.headers["ETag"]) == (304, tag)


class TestMicroCache:
    async def test_keeps_what_instances_call_public(self, proxy: Proxy, http: aiohttp.ClientSession) -> None:
        path = f"/api/v1/jobs?skills={secrets.token_hex(8)}"

        async def state(**headers: str) -> str | None:
            async with http.get(proxy.plain + path, headers=headers) as answer:
                assert answer.status in (200, 401)
                return answer.headers.get("X-Cache")

        assert [await state() for _ in range(2)] == ["MISS", "HIT"]
        assert await state(Authorization="Bearer nonsense") == "BYPASS"
        assert await state(Cookie="a=b") == "BYPASS"

    async def test_keeps_no_auction(self, proxy: Proxy, http: aiohttp.ClientSession) -> None:
        for path in ("/api/v1/auctions/nothing", "/api/v1/jobs/nothing", "/api/health"):
            states: list[Any] = []
            for _ in range(2):
                async with http.get(proxy.plain + path) as answer:
                    states.append(answer.headers.get("X-Cache"))
            assert "HIT" not in states, path


async def all_are_used(cluster: Cluster, proxy: Proxy, http: aiohttp.ClientSession) -> None:
    """Return when nginx has forgotten who failed in the test before."""

    async def used() -> bool:
        return {await answerer(http, proxy) for _ in range(9)} == set(cluster.names)

    await until(used)


async def somebody(http: aiohttp.ClientSession, proxy: Proxy) -> tuple[str, dict[str, str]]:
    """The URL of a new user's notifications, and the headers that make them an event source."""
    account = {"email": f"{secrets.token_hex(8)}@example.com", "password": "correct horse battery", "name": "Ann"}
    async with http.post(f"{proxy.plain}/api/v1/auth/register", json={**account, "role": "both"}) as answer:
        made = await answer.json(content_type=None)
    headers = {"Authorization": f"Bearer {made['access_token']}", "Accept": "text/event-stream"}
    return f"{proxy.plain}/api/v1/streams/user:{made['user']['id']}/events", headers


async def answerer(http: aiohttp.ClientSession, proxy: Proxy) -> str:
    """The instance that answers a request."""
    async with http.get(f"{proxy.plain}/api/v1/users/nobody") as answer:
        assert answer.status == 404
        return answer.headers["X-Rialto-Instance"]
