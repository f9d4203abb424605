"""A kept part is started again when it ends, and not after it was stopped."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from server.dev.binaries import DatabaseUnavailable
from server.dev.child import Child
from server.dev.keeper import Keeper
from tests.waiting import until


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.dev.keeper._FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("server.dev.keeper._LONGEST_PAUSE_S", 0.01)


class Part:
    """Starts `sleep`; refuses to as often as told."""

    def __init__(self, log: Path) -> None:
        self.children: list[Child] = []
        self.refusals = 0
        self._log = log

    async def start(self) -> Child:
        if self.refusals:
            self.refusals -= 1
            raise DatabaseUnavailable("not now")
        child = Child(["/bin/sleep", "3600"], log=self._log)
        await child.start()
        self.children.append(child)
        return child


async def test_a_killed_part_comes_back_even_if_it_fails_to_at_first(tmp_path: Path) -> None:
    part, said = Part(tmp_path / "log"), list[str]()
    keeper = Keeper("database", part.start, say=said.append)
    await keeper.begin()
    part.refusals = 2
    part.children[0].signal(signal.SIGKILL)
    await until(lambda: len(part.children) == 2)
    assert "ended with code 137" in said[0]
    assert said[1:] == ["database does not start: not now"] * 2
    await until(lambda: keeper.child is part.children[1])
    await keeper.stop()
    assert not psutil.pid_exists(part.children[1].pid)
    assert len(part.children) == 2


async def test_an_abandoned_part_is_killed_and_stays_away(tmp_path: Path) -> None:
    part = Part(tmp_path / "log")
    keeper = Keeper("worker", part.start, say=lambda _: None)
    await keeper.begin()
    keeper.abandon()
    await keeper.stop()
    assert not psutil.pid_exists(part.children[0].pid)


async def test_what_cannot_start_at_all_says_so(tmp_path: Path) -> None:
    part = Part(tmp_path / "log")
    part.refusals = 1
    keeper = Keeper("database", part.start, say=lambda _: None)
    with pytest.raises(DatabaseUnavailable):
        await keeper.begin()
    await keeper.stop()
