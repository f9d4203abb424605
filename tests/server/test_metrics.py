"""What operators see of a running market: every metric that dashboards and alerts stand on, on instances and workers."""

from __future__ import annotations

import signal
from typing import Any

from aiohttp import ClientConnectionError, ClientSession
from prometheus_client.parser import text_string_to_metric_families

from server.dev.ports import next_free
from tests.server.realtime.wire import Wire
from tests.server.test_drain import Start, http, job, start, url_of
from tests.waiting import until

__all__ = ["http", "start"]  # fixtures

WEB = {
    "rialto_info",
    "rialto_draining",
    "http_request_duration_seconds",
    "websocket_active_connections",
    "active_users_total",
    "jobs_created_total",
    "bids_total",
    "socket_transports",
    "socket_commands_total",
    "socket_command_seconds",
    "socket_received_bytes_total",
    "socket_sent_bytes_total",
    "socket_slow_clients_total",
    "socket_dismissed_total",
    "socket_connections_refused_total",
    "rialto_rate_limited_total",
    "rialto_stream_appends_total",
    "rialto_stream_commit_events",
    "rialto_stream_commit_seconds",
    "rialto_stream_gaps_repaired_total",
    "rialto_stream_events_delivered_total",
    "rialto_stream_subscriptions",
    "rialto_streams_active",
    "rialto_streams_watched",
    "rialto_clock_error_bound_seconds",
    "rialto_redis_up",
    "rialto_redis_dropped_total",
    "rialto_mongodb_pool_connections",
    "rialto_mongodb_pool_checked_out_connections",
    "rialto_mongodb_pool_max_connections",
    "rialto_mongodb_pool_checkout_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
}

WORKER = {
    "rialto_info",
    "rialto_draining",
    "rialto_follower_lag_seconds",
    "rialto_follower_events_total",
    "rialto_clock_error_bound_seconds",
    "rialto_redis_up",
    "rialto_mongodb_pool_checked_out_connections",
}


class Scrape:
    """What one process told of itself."""

    def __init__(self, text: str) -> None:
        self.names: set[str] = set()
        self._samples: list[tuple[str, dict[str, str], float]] = []
        for family in text_string_to_metric_families(text):
            if family.samples:
                self.names |= {family.name, *(sample.name for sample in family.samples)}
            self._samples += [(sample.name, sample.labels, sample.value) for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        return sum(value for sample, has, value in self._samples if sample == name and labels.items() <= has.items())


async def scrape(http: ClientSession, url: str) -> Scrape:
    async with http.get(f"{url}/metrics") as answer:
        assert answer.status == 200
        return Scrape(await answer.text())


async def registered(http: ClientSession, url: str, email: str) -> dict[str, Any]:
    body = {"email": email, "password": "correct horse battery", "name": "Somebody", "role": "freelancer"}
    async with http.post(f"{url}/api/v1/auth/register", json=body) as answer:
        assert answer.status == 201
        return dict(await answer.json())


async def bid(http: ClientSession, url: str, auction: str, token: str, amount: int, key: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    async with http.post(f"{url}/api/v1/auctions/{auction}/bids", json={"amount": amount}, headers=headers) as answer:
        return answer.status


async def test_a_running_market_tells_how_it_does(start: Start, http: ClientSession) -> None:
    child = await start("serve", "--port", "0", instance="web-1", rate_auth="5/h")
    url = await url_of(child)
    stream, _ = await job(http, url)
    auction = stream.partition(":")[2]
    token, rival = [(await registered(http, url, f"{name}@example.com"))["access_token"] for name in ("ann", "bob")]
    assert await bid(http, url, auction, token, 200, "one") == 201
    assert await bid(http, url, auction, token, 200, "one") == 201
    assert await bid(http, url, auction, token, 1, "two") == 422
    for status in (422, 422, 429):
        async with http.post(f"{url}/api/v1/auth/login", json={}) as guess:
            assert guess.status == status
    async with Wire(url, "websocket") as socket, Wire(url, "polling") as poller:
        assert "sid" in await socket.connect("/bidding", {"token": rival})
        assert "message" in await poller.connect("/bidding", {"token": "bad"})
        assert "sid" in await poller.connect("/bidding")
        for wire in (socket, poller):
            assert (await wire.command("subscribe", {"stream": stream}, namespace="/bidding"))["ok"]
        answer = await socket.command("bid", {"auction": auction, "amount": 300, "key": "three"}, namespace="/bidding")
        assert answer["ok"], answer
        assert (await poller.event())["events"]
        assert not (await socket.command("bid", {}, namespace="/bidding"))["ok"]

        told = await scrape(http, url)
        assert WEB - told.names == set()
        assert told.value("rialto_info", instance="web-1", role="web") == 1
        assert told.value("jobs_created_total") == 1
        assert told.value("bids_total", outcome="accepted") == 2
        assert told.value("bids_total", outcome="replayed") == 1
        assert told.value("bids_total", outcome="BEYOND_START") == 1
        assert told.value("websocket_active_connections", namespace="/bidding") == 2
        assert told.value("active_users_total") == 1
        assert told.value("socket_transports") == 2
        assert told.value("socket_commands_total", command="bid", code="ok") == 1
        assert told.value("socket_commands_total", command="bid", code="VALIDATION_FAILED") == 1
        assert told.value("socket_connections_refused_total", reason="UNAUTHENTICATED") == 1
        assert told.value("rialto_rate_limited_total", scope="auth") == 1
        assert told.value("rialto_stream_subscriptions") == 2
        assert told.value("rialto_stream_events_delivered_total") >= 2
        assert told.value("rialto_stream_appends_total", outcome="committed") >= 3
        assert told.value("rialto_redis_up") == 1
        assert told.value("rialto_mongodb_pool_max_connections") >= 50
        assert told.value("socket_received_bytes_total") > 200
        assert told.value("socket_sent_bytes_total") > 1_000
        created = {"method": "POST", "route": "/api/v1/jobs", "status_code": "201"}
        assert told.value("http_request_duration_seconds_count", **created) == 1
        sockets = {"route": "/socket.io/"}  # a poll waits for long, and is no slow answer
        assert told.value("http_request_duration_seconds_count", **sockets) == 0

    async def left() -> bool:
        told = await scrape(http, url)
        return told.value("socket_transports") == 0 == told.value("rialto_stream_subscriptions")

    await until(left)


async def test_long_polls_are_no_slow_answers(start: Start, http: ClientSession) -> None:
    url = await url_of(await start("serve", "--port", "0"))
    stream, _ = await job(http, url)
    route = "/api/v1/streams/{stream}/events"
    for query in ("after=0", "after=1&wait=0.2"):
        async with http.get(f"{url}/api/v1/streams/{stream}/events?{query}") as answer:
            assert answer.status == 200
    assert (await scrape(http, url)).value("http_request_duration_seconds_count", route=route) == 1


async def test_a_worker_tells_how_it_does(start: Start, http: ClientSession) -> None:
    port = next_free(0)
    child = await start("worker", worker_port=port, instance="worker-1", drain_s=600)
    url = f"http://127.0.0.1:{port}"
    web = await url_of(await start("serve", "--port", "0"))
    await job(http, web)

    async def followed() -> Scrape | None:
        try:
            told = await scrape(http, url)
        except ClientConnectionError:
            return None
        return told if told.value("rialto_follower_events_total") else None

    told = await until(followed)
    assert told is not None
    assert WORKER - told.names == set()
    assert told.value("rialto_info", instance="worker-1", role="worker") == 1
    for path, status in (("/health/live", 200), ("/health/ready", 200), ("/api/health", 200), ("/api/v1/jobs", 404)):
        async with http.get(url + path) as answer:
            assert answer.status == status
            assert answer.headers["X-Rialto-Instance"] == "worker-1"
    child.signal(signal.SIGTERM)
    assert await child.wait() == 0


async def test_a_worker_has_no_port_unless_it_is_given_one(start: Start) -> None:
    child = await start("worker", instance="worker-1")
    await until(lambda: "working" in child.last_lines(5))
    assert '"url": null' in child.last_lines(5)
