"""What admins are told of two real instances and a worker, with Valkey and without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from server.auth.admins import grant_admin
from server.dev.api import Api, ApiProblem
from server.dev.demo import rfc3339
from tests.cluster.cluster import NAMES, WORKER, Cluster
from tests.cluster.databases import Owned
from tests.soak.accounts import Account, registered
from tests.waiting import until

EVERYBODY = {*NAMES[:2], WORKER}


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Two instances and a worker, on databases of their own."""
    folder = tmp_path_factory.mktemp("operations")
    async with Cluster(folder, Owned(folder), instances=NAMES[:2]) as cluster:
        yield cluster


@pytest.fixture
async def cluster(running: Cluster) -> Cluster:
    """`running`, whole again whatever the test before did to it."""
    await running.heal()
    return running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def admin(cluster: Cluster, http: aiohttp.ClientSession) -> Account:
    """At the first instance."""
    account = await registered(http, cluster.urls[0], "both")
    assert await grant_admin(cluster.databases.mongodb_url, cluster.databases.name, account.email)
    await account.api.sign_in()
    return account


async def told(api: Api, wish: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The answer, once it is as wished."""

    async def look() -> dict[str, Any] | None:
        answer: dict[str, Any] = await api.get("/operations")
        return answer if wish(answer) else None

    answer = await until(look)
    assert answer is not None
    return answer


def names(answer: dict[str, Any]) -> set[str]:
    return {process["name"] for process in answer["processes"]}


def of(answer: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (process for process in answer["processes"] if process["name"] == name)
    return dict(found)


async def test_everybody_is_there(cluster: Cluster, admin: Account) -> None:
    answer = await told(admin.api, lambda answer: names(answer) == EVERYBODY)
    assert (answer["answered_by"], answer["complete"]) == ("rialto-1", True)
    assert answer["redis"]["up"]
    assert answer["mongodb"]["up"]
    assert answer["mongodb"]["primary"].startswith("127.0.0.1:")
    assert [process["role"] for process in answer["processes"]] == ["web", "web", "worker"]
    for process in answer["processes"]:
        assert (process["ready"], process["draining"], process["redis_up"]) == (True, False, True)
        assert process["memory_bytes"] > 10_000_000
        assert process["release"]
    for follower in of(await told(admin.api, lambda answer: of(answer, WORKER)["followers"]), WORKER)["followers"]:
        assert (follower["name"] != "", follower["lag_s"] >= 0, follower["events"] >= 0) == (True, True, True)


async def test_figures_move_with_what_happens(cluster: Cluster, admin: Account, http: aiohttp.ClientSession) -> None:
    bidders = [await registered(http, cluster.urls[1], "freelancer") for _ in range(2)]
    before = of(await told(admin.api, lambda answer: names(answer) == EVERYBODY), "rialto-2")
    job = await admin.api.post("/jobs", job_in_an_auction())
    for number in range(5):
        bid = {"amount": 1_000 + 100 * number, "confirm": True}
        await bidders[number % 2].api.post(f"/auctions/{job['auction']['id']}/bids", bid, key=f"bid-{number}")
    after = of(await told(admin.api, lambda answer: of(answer, "rialto-2")["bids"] >= before["bids"] + 5), "rialto-2")
    assert after["bids"] == before["bids"] + 5
    assert after["commits"]["count"] >= before["commits"]["count"] + 5
    assert after["commits"]["p50_ms"] <= after["commits"]["p95_ms"]
    assert after["t"] > before["t"]
    assert after["started_at"] == before["started_at"]


async def test_who_ends_is_gone(cluster: Cluster, admin: Account) -> None:
    await told(admin.api, lambda answer: names(answer) == EVERYBODY)
    await cluster.stop("rialto-2")
    assert names(await admin.api.get("/operations")) == {"rialto-1", WORKER}
    await cluster.heal()
    await told(admin.api, lambda answer: names(answer) == EVERYBODY)
    await cluster.kill("rialto-2")
    await told(admin.api, lambda answer: names(answer) == {"rialto-1", WORKER})


async def test_without_redis_there_is_the_answering_instance_alone(cluster: Cluster, admin: Account) -> None:
    assert isinstance(cluster.databases, Owned)
    await told(admin.api, lambda answer: names(answer) == EVERYBODY)
    await cluster.databases.kill_valkey()
    answer = await told(admin.api, lambda answer: not answer["complete"] and not of(answer, "rialto-1")["redis_up"])
    assert names(answer) == {"rialto-1"}
    assert answer["redis"] == {"up": False, "latency_ms": None}
    assert answer["mongodb"]["up"]
    await cluster.databases.start_valkey()
    await told(admin.api, lambda answer: answer["complete"] and names(answer) == EVERYBODY)


async def test_for_admins_only(cluster: Cluster, http: aiohttp.ClientSession) -> None:
    somebody = await registered(http, cluster.urls[0], "both")
    for api, code in ((somebody.api, "FORBIDDEN"), (Api(http, cluster.urls[0]), "UNAUTHENTICATED")):
        with pytest.raises(ApiProblem) as refused:
            await api.get("/operations")
        assert refused.value.code == code


def job_in_an_auction() -> dict[str, Any]:
    """A job whose price rises with each bid."""
    return {
        "title": "A lamp",
        "description": "To be sold.",
        "category": "other",
        "budget": {"min": 1_000, "max": 100_000, "currency": "EUR"},
        "auction": {
            "format": "english",
            "start_amount": 1_000,
            "end_at": rfc3339(datetime.now(UTC) + timedelta(hours=1)),
        },
    }
