"""Run the official protocol suites against the conformance harness, and count.

    python -m tests.conformance.run_suites FOLDER [--mode default|strict|both]

FOLDER is a checkout of the public repository socketio/socket.io (or just its `docs`); the suites are none of ours and are not
kept here. Each is run from a copy in a temporary folder in which three constants are replaced: URL, PING_INTERVAL and PING_TIMEOUT.

default: pings each 0.3 s, answered within 0.2 s, as the suites are written. A server that ignores malformed input still passes
    here, since its connection ends by ping timeout before the test's two seconds are over.
strict: pings each 25 s, answered within 20 s. Every test keeps mocha's two seconds, so closing must have the reason that the test
    gives. Only tests that wait for a ping have longer: those below `heartbeat`, and two of Socket.IO's `disconnect`. Since
    Socket.IO's `heartbeat` never enters a namespace, and another test wants such a client closed within two seconds, all tests below
    `heartbeat` run on a second harness whose connect timeout is longer than they are. So none is skipped; it takes five minutes.

Prints a line for each suite and mode, the titles and errors of failed tests, and ends with 1 if there were any.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from tests.contract.node import node, packages

SUITES: Final = {
    "engine.io": ("engine.io-protocol/v4-test-suite", 25),
    "socket.io": ("socket.io-protocol/v5-test-suite", 32),
}
"""Folder below `docs`, and how many tests there are."""

PINGS: Final = {"default": (0.3, 0.2), "strict": (25.0, 20.0)}
"""By mode: ping interval and timeout, seconds."""

CONNECT_TIMEOUT_S: Final = 1.5

_HEARTBEAT: Final = " heartbeat "
_ROOT: Final = Path(__file__).parents[2]

_HOOKS: Final = """
exports.mochaHooks = {
  beforeEach() {
    if (/ (heartbeat|disconnect) /.test(this.currentTest.fullTitle())) this.currentTest.timeout(%d);
  },
};
"""


@dataclass(frozen=True)
class Outcome:
    """How many tests passed of how many. `failures`: title and error of each that did not."""

    passed: int
    total: int
    failures: tuple[tuple[str, str], ...]

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.passed + other.passed, self.total + other.total, self.failures + other.failures)


def find(folder: Path, suite: str) -> Path:
    """The folder of a suite in a checkout. Raises FileNotFoundError."""
    below = SUITES[suite][0]
    for found in (folder / "docs" / below, folder / below):
        if (found / "test-suite.js").exists():
            return found
    raise FileNotFoundError(f"{folder} has no {below}; it should be a checkout of socketio/socket.io")


@contextmanager
def adapted(source: Path, url: str, interval_s: float, timeout_s: float) -> Iterator[Path]:
    """A copy of a suite for a server elsewhere and with other pings."""
    text = (source / "test-suite.js").read_text()
    for name, old, new in (
        ("URL", '"http://localhost:3000"', json.dumps(url)),
        ("PING_INTERVAL", "300", f"{interval_s * 1000:.0f}"),
        ("PING_TIMEOUT", "200", f"{timeout_s * 1000:.0f}"),
    ):
        line = f"const {name} = {old};\n"
        if text.count(line) != 1:
            raise ValueError(f"{source}/test-suite.js does not define {name} as it used to")
        text = text.replace(line, f"const {name} = {new};\n")
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for file in ("package.json", "node-imports.js"):
            shutil.copy(source / file, copy)
        (copy / "node_modules").symlink_to(packages(source.resolve()))
        (copy / "test-suite.js").write_text(text)
        (copy / "hooks.cjs").write_text(_HOOKS % (5_000 + 4_000 * (interval_s + timeout_s)))
        yield copy


async def run(folder: Path, suite: str, mode: str, url: str, *options: str) -> Outcome:
    """Run one suite against a server whose pings are as the mode asks. `options` are mocha's."""
    with adapted(find(folder, suite), url, *PINGS[mode]) as copy:
        command = [*node(), "node_modules/mocha/bin/mocha", "--exit", "--reporter", "json", "--require", "./hooks.cjs"]
        process = await asyncio.create_subprocess_exec(
            *command, *options, "test-suite.js", cwd=copy, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        printed = await process.stdout.read()
        await process.wait()
    report = json.loads(printed[printed.index(b"{") :])
    failures = tuple((test["fullTitle"], test["err"].get("message", "")) for test in report["failures"])
    return Outcome(report["stats"]["passes"], report["stats"]["tests"], failures)


@asynccontextmanager
async def harness(interval_s: float, timeout_s: float, connect_timeout_s: float) -> AsyncIterator[str]:
    """The harness as a process of its own; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.conformance", "--port", str(port)]
    command += ["--ping-interval", str(interval_s), "--ping-timeout", str(timeout_s)]
    command += ["--connect-timeout", str(connect_timeout_s)]
    process = await asyncio.create_subprocess_exec(*command, cwd=_ROOT)
    try:
        url = f"http://127.0.0.1:{port}"
        while not await asyncio.to_thread(_answers, f"{url}/healthz"):
            if process.returncode is not None:
                raise RuntimeError("the harness did not start")
            await asyncio.sleep(0.1)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310  # our own process on loopback
            return bool(answer.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False


async def default(folder: Path) -> dict[str, Outcome]:
    """Both suites as they are written, in turn, since short pings are missed on a busy machine."""
    async with harness(*PINGS["default"], CONNECT_TIMEOUT_S) as url:
        return {suite: await run(folder, suite, "default", url) for suite in SUITES}


async def strict(folder: Path) -> dict[str, Outcome]:
    """Both suites with long pings, side by side, since they mostly wait."""
    patience_s = 10 * sum(PINGS["strict"])
    async with harness(*PINGS["strict"], CONNECT_TIMEOUT_S) as url, harness(*PINGS["strict"], patience_s) as idle:

        async def parts(suite: str) -> Outcome:
            others, heartbeat = await asyncio.gather(
                run(folder, suite, "strict", url, "--fgrep", _HEARTBEAT, "--invert"),
                run(folder, suite, "strict", idle, "--fgrep", _HEARTBEAT),
            )
            return others + heartbeat

        return dict(zip(SUITES, await asyncio.gather(*map(parts, SUITES)), strict=True))


async def report(folder: Path, modes: list[str]) -> bool:
    """Run and print; whether everything passed."""
    whole = True
    for mode in modes:
        for suite, outcome in (await (default if mode == "default" else strict)(folder)).items():
            expected = SUITES[suite][1]
            print(f"{mode:8} {suite:10} {outcome.passed}/{expected}", flush=True)  # noqa: T201
            for title, error in outcome.failures:
                print(f"    {title}: {error}", flush=True)  # noqa: T201
            whole &= outcome.passed == outcome.total == expected
    return whole


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.run_suites", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a checkout of socketio/socket.io")
    parser.add_argument("--mode", choices=[*PINGS, "both"], default="both")
    given = parser.parse_args()
    modes = [*PINGS] if given.mode == "both" else [given.mode]
    return 0 if asyncio.run(report(given.folder, modes)) else 1


if __name__ == "__main__":
    sys.exit(main())
