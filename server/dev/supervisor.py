"""`rialto dev`: databases, web instances, a worker, demo data and the simulator, from one command until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import aiohttp

from server.auth.admins import grant_admin
from server.dev import ports
from server.dev.child import Child
from server.dev.demo import seed
from server.dev.folder import AlreadyRunning, locked, token_secret
from server.dev.greeting import greeting
from server.dev.keeper import Keeper
from server.dev.mongod import Mongod
from server.dev.valkey import Valkey
from server.settings import Settings

__all__ = ["AlreadyRunning", "Unready", "supervise"]

_READY_S: Final = 60.0
"""Seconds that a web instance may take to become ready."""


_SAME_REQUEST_S: Final = 1.0
"""Signals this close together are one request: Ctrl-C and `timeout` may reach a process directly and through its parent."""

_DEFAULTS: Final = {
    "RIALTO_DRAIN_S": "1",  # who presses Ctrl-C does not want to wait
    "RIALTO_RATE_AUTH": "10000/15m",  # the demo's people and whoever tries things out share one address
}


class Unready(Exception):
    """A part ended or hung while it started; the message has the end of its log."""


def say(text: str) -> None:
    """One line for the person at the terminal, who may have closed it."""
    with suppress(OSError):
        print(text, flush=True)


async def supervise(settings: Settings, *, instances: int) -> None:
    """Run the market until SIGINT, SIGTERM or SIGHUP; another one later on kills what has not ended yet.

    Raises AlreadyRunning, DatabaseUnavailable or Unready if it cannot be opened.
    """
    async with locked(settings.data_dir.resolve()) as lock:
        market = Market(settings, instances=instances, lock=lock)
        asked = asyncio.Event()
        patience_ends = 0.0

        def stop() -> None:
            nonlocal patience_ends
            if not asked.is_set():
                patience_ends = time.monotonic() + _SAME_REQUEST_S
                asked.set()
            elif time.monotonic() > patience_ends:
                market.abandon()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        opening = asyncio.create_task(market.open(), name="opening")
        stopping = asyncio.create_task(asked.wait(), name="stopping")
        try:
            await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not asked.is_set():
                await opening
                await stopping
            say("\nStopping ...")
        finally:
            for task in (opening, stopping):
                task.cancel()
            await asyncio.gather(opening, stopping, return_exceptions=True)
            await market.close()
        say("The market is closed.")


class Market:
    """Every part of a running market, in the order they were started."""

    def __init__(self, settings: Settings, *, instances: int, lock: int) -> None:
        self._settings = settings
        self._instances = instances
        self._lock = lock
        self._folder = settings.data_dir.resolve()
        self._logs = self._folder / "logs"
        self._keepers: list[Keeper] = []
        self._environment = {**_DEFAULTS, **os.environ}

    async def open(self) -> None:
        """Start everything, load the demo data the first time, and tell the person how to look at it."""
        began = time.monotonic()
        say(f"Rialto opens the market in {self._folder}")
        mongodb_url, redis_url = await self._mongodb(), await self._redis()
        secret = self._settings.token_secret.get_secret_value() or token_secret(self._folder)
        self._environment |= {
            "RIALTO_DATA_DIR": str(self._folder),
            "RIALTO_MONGODB_URL": mongodb_url,
            "RIALTO_REDIS_URL": redis_url,
            "RIALTO_TOKEN_SECRET": secret,
        }
        urls = await self._processes()
        database = self._settings.mongodb_database
        await seed(
            urls[0],
            grant_admin=lambda email: grant_admin(mongodb_url, database, email),
            say=lambda text: say(f"  {'demo data':<11}{text}"),
        )
        if self._settings.simulate:
            await self._keep("simulator", self._program("simulator", "simulate", *(f"--url={url}" for url in urls)))
            say(f"  {'simulator':<11}demo users bid through sockets (RIALTO_SIMULATE=0 turns it off)")
        say(await greeting(urls[0], logs=self._logs, began=began, simulated=self._settings.simulate))

    async def close(self) -> None:
        """Stop everything in the reverse order: simulator, web instances, worker, databases."""
        while self._keepers:
            await self._keepers.pop().stop()

    def abandon(self) -> None:
        """Kill whatever still runs."""
        for keeper in self._keepers:
            keeper.abandon()

    async def _mongodb(self) -> str:
        if self._settings.mongodb_url:
            return self._settings.mongodb_url
        mongod = Mongod(self._folder / "mongodb", log=self._logs / "mongod.log", inherited=[self._lock])
        await self._keep_database("MongoDB", mongod)
        say(f"  {'MongoDB':<11}{mongod.url}")
        return mongod.url

    async def _redis(self) -> str:
        if self._settings.redis_url:
            return self._settings.redis_url
        valkey = Valkey(self._folder / "valkey", log=self._logs / "valkey.log", inherited=[self._lock])
        await self._keep_database("Valkey", valkey)
        say(f"  {'Valkey':<11}{valkey.url}")
        return valkey.url

    async def _keep_database(self, name: str, database: Mongod | Valkey) -> None:
        async def start() -> Child:
            await database.start()
            assert database.child is not None
            return database.child

        await self._keep(name, start, patience_s=30)

    async def _processes(self) -> list[str]:
        """Start the worker and the web instances; returns their addresses once all are ready."""
        await self._keep("worker", self._program("worker", "worker"))
        say(f"  {'worker':<11}follows the streams")
        host = self._settings.host
        taken: list[int] = []
        wanted = self._settings.port
        for index in range(self._instances):
            port = ports.next_free(wanted, host, avoid=taken)
            if wanted and port != wanted:
                say(f"  port {wanted} is taken, so {port} it is")
            taken.append(port)
            wanted = port + 1 if self._settings.port else 0
            name = f"web-{index + 1}"
            await self._keep(name, self._program(name, "serve", f"--host={host}", f"--port={port}"))
        urls = [f"http://{_reachable(host)}:{port}" for port in taken]
        await asyncio.gather(*(self._ready(url, f"web-{index + 1}") for index, url in enumerate(urls)))
        for index, url in enumerate(urls):
            say(f"  {f'web-{index + 1}':<11}{url}")
        return urls

    def _program(self, name: str, *arguments: str) -> Callable[[], Awaitable[Child]]:
        """How to start `rialto ARGUMENTS` as a process of its own."""

        async def start() -> Child:
            child = Child(
                [sys.executable, "-m", "server", *arguments],
                log=self._logs / f"{name}.log",
                env={"RIALTO_INSTANCE": name, **self._environment},
                inherited=[self._lock],
            )
            await child.start()
            return child

        return start

    async def _keep(self, name: str, start: Callable[[], Awaitable[Child]], *, patience_s: float = 15.0) -> None:
        keeper = Keeper(name, start, say=lambda text: say(f"  {text}"), patience_s=patience_s)
        self._keepers.append(keeper)
        await keeper.begin()

    async def _ready(self, url: str, name: str) -> None:
        """Return once the instance answers that it is ready. Raises Unready if it ends or takes too long."""
        keeper = next(keeper for keeper in self._keepers if keeper.name == name)
        first = keeper.child
        assert first is not None
        deadline = time.monotonic() + _READY_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while True:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{url}/health/ready") as answer:
                        if answer.status == 200:
                            return
                if not first.running or time.monotonic() > deadline:
                    verb = "does not become ready" if first.running else "ended while it started"
                    raise Unready(f"{name} {verb}:\n{first.last_lines(20)}\n(all of it: {first.log})")
                await asyncio.sleep(0.05)


def _reachable(host: str) -> str:
    """An address to connect to for one that may mean all addresses."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
