"""Serve the conformance harness on loopback until interrupted; see `tests.conformance.server`."""

from __future__ import annotations

import argparse
import asyncio
import signal

import uvloop
from aiohttp import web

from tests.conformance.server import CONNECT_TIMEOUT_S, conformance


async def _serve(port: int, *timing: float) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with conformance(*timing) as harness:
        runner = web.AppRunner(harness.app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "localhost", port).start()
            await stop.wait()
            await harness.stop()
        finally:
            await runner.cleanup()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ping-interval", type=float, default=0.3, metavar="S")
    parser.add_argument("--ping-timeout", type=float, default=0.2, metavar="S")
    parser.add_argument("--connect-timeout", type=float, default=CONNECT_TIMEOUT_S, metavar="S")
    given = parser.parse_args()
    uvloop.run(_serve(given.port, given.ping_interval, given.ping_timeout, given.connect_timeout))


if __name__ == "__main__":
    main()
