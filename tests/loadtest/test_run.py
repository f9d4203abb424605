"""The load as `make loadtest-ci` makes it, small: Locust in a process of its own against a market of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from tests.waiting import patiently

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]

WATCHER = {"/bidding subscribe", "/bidding sync_time", "GET /auctions/{id}", "GET /jobs/{id}"}
BIDDER = {"/bidding bid", "/notifications subscribe", "GET /notifications", "/notifications read"}
CHATTER = {"/chat subscribe", "/chat send", "/chat typing", "/chat read", "GET /rooms", "GET /rooms/{id}/messages"}
REST_HISTORY = {
    "GET /jobs",
    "GET /streams/{stream}",
    "GET /streams/{stream}/events",
    "GET /streams/{stream}/events?wait",
}
EVERYBODY = {"connect", "reconnect", "/bidding resume", "POST /auth/login", "POST /jobs"}
DELIVERIES = {"/bidding events lag", "/bidding close lag", "/chat events lag", "/notifications events lag"}


async def loadtest(tmp_path: Path, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Run `python -m loadtest ci`: its exit code, what it printed, and its report."""
    report = tmp_path / "report.json"
    command = ["ci", "--folder", str(tmp_path / "market"), "--report", str(report), *arguments]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest", *command),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), orjson.loads(report.read_bytes()) if report.exists() else {}


def done(report: dict[str, Any]) -> set[str]:
    """What was done at least once."""
    return {row["name"] for row in report["rows"] if row["count"] > row["failures"]}


async def test_a_market_day(tmp_path: Path) -> None:
    """Everybody does what they are there for, is thrown out twice on the way, and nothing fails."""
    size = ["--users", "20", "--seconds", "15", "--pace", "0.08", "--shape", "storm", "--polling", "0.3"]
    code, output, report = await loadtest(tmp_path, *size)
    assert (code, report["errors"], report["faults"], report["exceptions"]) == (0, {}, {}, []), output
    assert not (WATCHER | BIDDER | CHATTER | REST_HISTORY | EVERYBODY | DELIVERIES) - done(report), output
    assert report["most_sockets"] >= 15
    assert "/bidding bid" in output


async def test_a_market_that_refuses_is_not_good(tmp_path: Path) -> None:
    size = ["--users", "10", "--seconds", "6", "--pace", "0.1", "--scenario", "watcher", "--set", "max_subscriptions=1"]
    code, output, report = await loadtest(tmp_path, *size)
    assert code == 1, output
    assert "/bidding subscribe: VALIDATION_FAILED" in report["errors"]
    assert report["complaints"]


async def test_nothing_is_left_of_a_load_that_was_killed(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest", "ci", "--users", "2", "--seconds", "600", "--scenario", "watcher"),
        *("--folder", str(tmp_path / "market"), "--instances", "1"),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
    )
    family = psutil.Process(process.pid)

    def loading() -> bool:
        return any("locust" in _command(child) for child in family.children())

    try:
        await patiently(loading, "Locust to start")
        relatives = family.children(recursive=True)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert len(relatives) >= 5, "MongoDB, Valkey, a web instance, a worker and Locust"
    await patiently(lambda: not any(_lives(relative) for relative in relatives), "everything to end")


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess):  # or a zombie, which is one of these
        return process.cmdline()
    return []


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.soak
@pytest.mark.parametrize("shape", ["ramp", "spike", "storm"])
async def test_long_days(tmp_path: Path, shape: str) -> None:
    code, output, _ = await loadtest(tmp_path, "--users", "220", "--seconds", "90", "--shape", shape)
    assert code == 0, output
