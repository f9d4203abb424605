"""Prometheus and its alerts by its own programs; Grafana's dashboard by a real Prometheus that has asked a real cluster."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.dev.api import Api
from server.dev.child import Child
from server.dev.demo import rfc3339
from tests.cluster.cluster import WORKER, Cluster
from tests.cluster.databases import Shared, steady_port
from tests.cluster.debian import program
from tests.deploy.tools import ROOT, run
from tests.server.realtime.wire import Wire
from tests.waiting import patiently

FOLDER = ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "rialto.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

SELDOM = re.compile(r"rate_limited|refused|webhook|checkout_failures")
"""What has no series until something goes wrong, or somebody asks for webhooks."""


@pytest.mark.parametrize(
    ("what", "file"), [("config", "prometheus.yml"), ("rules", "alerts.yml")], ids=["configuration", "alerts"]
)
async def test_prometheus_reads(what: str, file: str) -> None:
    code, said = await run(program("promtool", "prometheus"), "check", what, file, cwd=FOLDER)
    assert code == 0, said
    assert "SUCCESS" in said


async def test_alerts_fire_when_they_should() -> None:
    code, said = await run(program("promtool", "prometheus"), "test", "rules", "alerts.test.yml", cwd=FOLDER)
    assert code == 0, said


def test_every_alert_is_tested() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", (FOLDER / "alerts.yml").read_text()))
    assert alerts == set(re.findall(r"alertname: (\w+)", (FOLDER / "alerts.test.yml").read_text()))


@pytest.fixture(scope="module")
async def cluster(
    mongodb_url: str, redis_url: str, module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    folder = tmp_path_factory.mktemp("watched")
    async with Cluster(folder, Shared(mongodb_url, redis_url, module_database), instances=["rialto-1"]) as cluster:
        yield cluster


@asynccontextmanager
async def prometheus(folder: Path, cluster: Cluster) -> AsyncIterator[str]:
    """The real one, with the project's configuration and alerts, asking this cluster; its URL."""
    port = steady_port()
    text = (FOLDER / "prometheus.yml").read_text()
    text = text.replace("[rialto-1:8080, rialto-2:8080, rialto-3:8080]", f'["127.0.0.1:{cluster.ports["rialto-1"]}"]')
    found, _, rest = text.partition("    dns_sd_configs:")
    text = f"{found}      - targets: ['127.0.0.1:{cluster.ports[WORKER]}']\n    relabel_configs:{rest.partition('relabel_configs:')[2]}"
    text = text.replace("127.0.0.1:9090", f"127.0.0.1:{port}").replace("10s", "1s").replace("5s", "1s")
    (folder / "prometheus.yml").write_text(text)
    (folder / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
    child = Child(
        [
            program("prometheus", "prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        log=folder / "prometheus.log",
    )
    await child.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await child.stop()


async def trade(http: aiohttp.ClientSession, url: str) -> None:
    """A job, a bid on it over a socket, a notification of that, and a logout."""
    client, freelancer = (
        Api(http, url, email=f"{secrets.token_hex(8)}@example.com", password="correct horse battery") for _ in range(2)
    )
    await client.register("Ann", "client")
    await freelancer.register("Bob", "freelancer")
    auction = {"format": "reverse", "start_amount": 1_000, "end_at": rfc3339(datetime.now(UTC) + timedelta(hours=1))}
    budget = {"min": 1, "max": 1_000, "currency": "EUR"}
    job = await client.post(
        "/jobs", {"title": "Paint", "description": "A bridge", "category": "art", "budget": budget, "auction": auction}
    )
    async with Wire(url, "websocket") as wire:
        await wire.connect("/bidding", {"token": freelancer.token})
        stream = f"auction:{job['auction']['id']}"
        assert (await wire.command("subscribe", {"stream": stream}, namespace="/bidding"))["ok"]
        bid = {"auction": job["auction"]["id"], "amount": 900, "key": secrets.token_hex(8)}
        assert (await wire.command("bid", bid, namespace="/bidding"))["ok"]

    async def notified() -> bool:
        return bool((await client.get("/notifications"))["items"])

    await patiently(notified, "the notification of a bid")
    await freelancer.post("/auth/logout")


async def test_the_dashboard_shows_what_there_is(cluster: Cluster, tmp_path: Path) -> None:
    """Every query of the dashboard and of the alerts is understood, and finds what a cluster measures."""
    async with prometheus(tmp_path, cluster) as url, aiohttp.ClientSession() as http:

        async def ask(query: str) -> Any:
            query = query.replace("$__rate_interval", "1m").replace('instance=~"$instance"', 'instance=~".+"')
            async with http.get(f"{url}/api/v1/query", params={"query": query}) as answer:
                told = await answer.json()
                assert told["status"] == "success", (query, told)
                return told["data"]["result"]

        async def looked(since: float) -> bool:
            """Whether it has asked each process several times since then."""
            try:
                found = await ask(f'min(count_over_time((timestamp(up{{job="rialto"}}) > {since})[1m:1s]))')
            except aiohttp.ClientError:
                return False
            return bool(found) and float(found[0]["value"][1]) >= 3

        await trade(http, cluster.url("rialto-1"))
        since = time.time()
        await patiently(lambda: looked(since), "Prometheus to ask each process")
        up = await ask('up{job="rialto"}')
        assert {(one["metric"]["role"], one["value"][1]) for one in up} == {("web", "1"), ("worker", "1")}
        for panel in PANELS:
            for target in panel["targets"]:
                found = await ask(target["expr"])
                assert found or SELDOM.search(target["expr"]), (panel["title"], target["expr"])
        await ask(DASHBOARD["annotations"]["list"][0]["expr"])
        async with http.get(f"{url}/api/v1/rules") as answer:
            groups = (await answer.json())["data"]["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}


async def test_every_metric_that_is_watched_exists(cluster: Cluster) -> None:
    """Also those that have no series until something happens: what a process exports names them all."""
    known: set[str] = set()
    async with aiohttp.ClientSession() as http:
        for name in ("rialto-1", WORKER):
            async with http.get(f"{cluster.url(name)}/metrics") as answer:
                types = re.findall(r"^# TYPE (\w+) (\w+)$", await answer.text(), re.MULTILINE)
            for metric, kind in types:
                known |= {
                    metric + suffix for suffix in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
                }
    watched = [target["expr"] for panel in PANELS for target in panel["targets"]]
    watched += re.findall(r"expr: (?:>\n)?((?:.+\n(?=\s{10})|.+)+)", (FOLDER / "alerts.yml").read_text())
    used = set(
        re.findall(r"\b((?:rialto|socket|websocket|http|auth|bids|jobs|active|process)_\w+)\b", "\n".join(watched))
    )
    assert len(used) > 30
    assert used <= known, used - known


def test_the_dashboard_stands_by_itself() -> None:
    assert DASHBOARD["uid"] == "rialto"
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    source = (ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text()
    uid = re.search(r"uid: (\w+)", source)
    assert uid is not None
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": uid[1]}
        assert panel["title"]
        assert panel["targets"]
