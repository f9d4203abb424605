"""Load on the market, made by Locust over real sockets.

    python -m loadtest web                   Locust's page on loopback: choose people and shape there, and watch
    python -m loadtest ci                    one run without a page: a table of p50, p95 and p99 per command at its end

Without --host a market is started for it: MongoDB, Valkey, web instances and a worker, all gone afterwards. A market given by
--host must bear thousands of logins from one address; RATE_LIMITED is no failure there.

Exit codes of `ci`: 0 good; 1 more than 0.1 % of all commands failed, or a stream had a gap or a repeat; 2 it could not be run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from loadtest.builder import build
from loadtest.market import Unready, own_market
from loadtest.scenarios import SCENARIOS
from loadtest.shapes import SHAPES
from server.dev.api import ApiProblem
from server.dev.binaries import DatabaseUnavailable

_ROOT: Final = Path(__file__).resolve().parent.parent
_PATIENCE_S: Final = 30.0
"""For Locust to end after it was asked to."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(options))
    except (ApiProblem, DatabaseUnavailable, Unready) as problem:
        print(f"loadtest: {problem}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="loadtest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=["web", "ci"])
    parser.add_argument("--host", action="append", metavar="URL", help="a market that runs; several for its instances")
    parser.add_argument("--instances", type=int, default=2, help="web instances of the market that is started")
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="mixed", help="who takes part (default mixed)")
    parser.add_argument("--shape", choices=list(SHAPES), default="ramp", help="how many, and when (default ramp)")
    parser.add_argument("--users", type=int, default=100, help="people at most, most of them with a socket")
    parser.add_argument("--seconds", type=int, default=60, help="length of the run")
    parser.add_argument("--pace", type=float, default=1.0, help="factor on all think times (default 1)")
    parser.add_argument("--polling", type=float, default=0.05, help="share of sockets without WebSocket (default 0.05)")
    parser.add_argument("--port", type=int, default=8089, help="of Locust's page")
    parser.add_argument("--report", type=Path, help="file for the report as JSON")
    parser.add_argument("--folder", type=Path, help="where data and logs of the market stay; else they are deleted")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the market, such as snapshot_every=100",
    )
    return parser


async def _run(options: argparse.Namespace) -> int:
    _end_on_signals()
    async with _folder(options.folder) as folder, _market(options, folder) as urls:
        scenario = SCENARIOS[options.scenario]
        _say(f"building a town for {options.users} people at {' '.join(urls)}")
        town = await build(
            urls,
            people=max(1, round(options.users * scenario.people)),
            talkers=round(options.users * scenario.talkers),
            limited=bool(options.host),
        )
        town.save(folder / "town.json")
        return await _locust(_arguments(options, folder / "town.json", urls[0]))


def _end_on_signals() -> None:
    """Both ways to be told to end go the same way, in order: Locust first, then the market."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


@asynccontextmanager
async def _folder(wanted: Path | None) -> AsyncIterator[Path]:
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="rialto-loadtest-") as folder:
        yield Path(folder)


@asynccontextmanager
async def _market(options: argparse.Namespace, folder: Path) -> AsyncIterator[list[str]]:
    if options.host:
        yield [url.rstrip("/") for url in options.host]
        return
    settings = dict(setting.partition("=")[::2] for setting in options.set)
    async with own_market(folder, options.instances, settings) as urls:
        yield urls


def _arguments(options: argparse.Namespace, town: Path, url: str) -> list[str]:
    """Locust's."""
    arguments = [
        *("-f", str(_ROOT / "loadtest" / "locustfile.py"), "--town", str(town), "--host", url),
        *("--users", str(options.users), "--pace", str(options.pace), "--polling", str(options.polling)),
        *("--run-time", f"{options.seconds}s", "--stop-timeout", "5"),
    ]
    if options.mode == "web":
        arguments += [
            "--web-host",
            "127.0.0.1",
            "--web-port",
            str(options.port),
            "--class-picker",
            "--spawn-rate",
            "20",
        ]
        return arguments
    arguments += ["--headless", "--only-summary", "--loglevel", "WARNING", "--shape", options.shape]
    if options.report is not None:
        arguments += ["--report", str(options.report.resolve())]
    return [*arguments, *SCENARIOS[options.scenario].kinds]


async def _locust(arguments: Sequence[str]) -> int:
    """Run Locust, in a process of its own since it patches the standard library; its exit code."""
    theirs, ours = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "locust", *arguments, "--lifeline", str(theirs)),
            stdin=asyncio.subprocess.DEVNULL,
            cwd=_ROOT,
            pass_fds=[theirs],
        )
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.terminate()
                async with asyncio.timeout(_PATIENCE_S):
                    await process.wait()
    finally:
        os.close(theirs)
        os.close(ours)  # were this process killed, this would happen too, and end Locust


def _say(text: str) -> None:
    print(f"loadtest: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
