"""What every test may ask for: real databases, a database name of its own, settings.

MongoDB and Valkey are started once per session in a temporary folder, unless RIALTO_MONGODB_URL or RIALTO_REDIS_URL name
running ones. Other RIALTO_* variables of the caller's shell are removed, so that tests mean the same everywhere.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from server.dev.mongod import Mongod
from server.dev.valkey import Valkey
from server.settings import Settings
from tests import loopback

MONGODB_URL = os.environ.get("RIALTO_MONGODB_URL", "")
REDIS_URL = os.environ.get("RIALTO_REDIS_URL", "")
for variable in [name for name in os.environ if name.startswith("RIALTO_")]:
    del os.environ[variable]


def pytest_configure(config: pytest.Config) -> None:
    """Let one thing pass of what is an error otherwise.

    PyMongo's pool drops a socket without closing it when its client is closed while the socket is still connecting. The pattern
    takes sockets that never had a peer, no others.
    """
    pattern = (
        r"ignore:unclosed <socket.socket fd=\d+, family=2, type=1, proto=6, laddr=\('0.0.0.0', 0\)>:ResourceWarning"
    )
    config.addinivalue_line("filterwarnings", pattern)


_LONG = ("tests/soak/", "tests/cluster/", "tests/server/dev/", "tests/contract/", "tests/web/", "tests/attack/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Full sizes only where the marker `soak` is asked for by name, and files that take long first.

    So no worker of `make test` waits at the end for another's last file.
    """
    if "soak" not in config.getoption("markexpr"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("soak")])
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Let a coroutine that hangs fail alone, and show where, well before pytest-timeout ends the whole process."""
    if not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(test := item.obj):
        return
    marker = item.get_closest_marker("timeout")
    whole_s = float(marker.args[0] if marker else item.config.getoption("timeout") or item.config.getini("timeout"))

    @functools.wraps(test)
    async def limited(**fixtures: object) -> None:
        async with asyncio.timeout(0.75 * whole_s):
            await test(**fixtures)

    item.obj = limited


@pytest.fixture(scope="session", autouse=True)
def network_guard() -> Iterator[None]:
    """Fails whatever connects to anything but loopback; the other half is `LoopbackLoop`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", loopback.connect)
        patch.setattr(socket.socket, "connect_ex", loopback.connect_ex)
        yield


@pytest.fixture(scope="session", autouse=True)
def blocking_guard() -> Iterator[None]:
    """Fails whatever makes an event loop wait from within the application.

    Small local files may be read, and `server.dev` works in a loop of its own.
    """
    guard = BlockBuster(["server", "handlers", "models"], excluded_modules=["server.dev"])
    for name in [name for name in guard.functions if name.startswith(("os.", "io."))]:
        del guard.functions[name]
    guard.activate()
    yield
    guard.deactivate()


@pytest.fixture(scope="session")
def _asyncio_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """All tests and fixtures share one guarded uvloop.

    It overrides pytest-asyncio's fixture of that name. Its public hook parametrizes asynchronous tests only, and a synchronous
    test that asks for a database would then get another loop, and end the session's.
    """
    return loopback.LoopbackLoop


@pytest.fixture(scope="session")
async def mongodb_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A writable replica set."""
    if MONGODB_URL:
        yield MONGODB_URL
        return
    folder = tmp_path_factory.mktemp("mongodb")
    mongod = Mongod(folder, log=folder / "mongod.log")
    await mongod.start()
    yield mongod.url
    await mongod.stop()


@pytest.fixture(scope="session")
async def redis_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A Valkey or Redis server; all tests share it, see `clean_redis_url`."""
    if REDIS_URL:
        yield REDIS_URL
        return
    folder = tmp_path_factory.mktemp("valkey")
    valkey = Valkey(folder, log=folder / "valkey.log", persistent=False)
    await valkey.start()
    yield valkey.url
    await valkey.stop()


@pytest.fixture
async def clean_redis_url(redis_url: str) -> str:
    """`redis_url`, emptied first."""
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
    return redis_url


@pytest.fixture
async def database(mongodb_url: str) -> AsyncIterator[str]:
    """The name of a database that nobody else uses; dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    yield name
    async with AsyncMongoClient(mongodb_url) as client:
        await client.drop_database(name)


@pytest.fixture(scope="module")
async def module_database(mongodb_url: str) -> AsyncIterator[str]:
    """As `database`, shared by the tests of one module."""
    name = f"test_{secrets.token_hex(6)}"
    yield name
    async with AsyncMongoClient(mongodb_url) as client:
        await client.drop_database(name)


@pytest.fixture
def settings(mongodb_url: str, clean_redis_url: str, database: str, tmp_path: Path) -> Settings:
    """Settings on real databases, with Argon2id made cheap."""
    return Settings(
        mongodb_url=mongodb_url,
        mongodb_database=database,
        redis_url=clean_redis_url,
        token_secret=secrets.token_urlsafe(48),
        data_dir=tmp_path,
        port=0,
        argon2_memory_kib=64,
        argon2_time=1,
        log_json=False,
        simulate=False,
        rate_limits=False,
    )
