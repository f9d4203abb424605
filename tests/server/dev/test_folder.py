"""The data folder's lock and secret."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from server.dev.child import Child
from server.dev.folder import AlreadyRunning, locked, token_secret
from tests.waiting import until


async def test_a_second_run_is_told_who_has_the_folder(tmp_path: Path) -> None:
    async with locked(tmp_path):
        with pytest.raises(AlreadyRunning, match=f"runs already \\(process {os.getpid()}\\)"):
            async with locked(tmp_path):
                pass
    async with locked(tmp_path):
        pass


RUN = """
import asyncio, pathlib, sys
from server.dev.child import Child
from server.dev.folder import locked

async def main(folder):
    async with locked(folder) as lock:
        child = Child(
            ["/bin/sh", "-c", f"trap '' TERM; echo > {folder}/up; until [ -e {folder}/go ]; do sleep 0.01; done"],
            log=folder / "log", grace_s=3600, inherited=[lock],
        )
        await child.start()
        await asyncio.sleep(3600)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


async def test_a_run_after_a_killed_one_waits_for_what_that_left(tmp_path: Path) -> None:
    first = await asyncio.create_subprocess_exec(sys.executable, "-c", RUN, str(tmp_path))
    await until((tmp_path / "up").exists)
    first.kill()
    await first.wait()

    entered = asyncio.Event()

    async def second() -> None:
        async with locked(tmp_path):
            entered.set()

    waiting = asyncio.create_task(second())
    probe = Child(["/bin/true"], log=tmp_path / "probe")  # time passes: a process comes and goes
    await probe.start()
    await probe.wait()
    assert not entered.is_set()
    (tmp_path / "go").touch()
    await waiting
    assert entered.is_set()


def test_the_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    secret = token_secret(tmp_path)
    assert len(secret) >= 32
    assert token_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / "token_secret").stat().st_mode) == 0o600
