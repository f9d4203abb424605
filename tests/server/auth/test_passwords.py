"""Argon2id off the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from server.auth import passwords as module
from server.auth.passwords import Passwords
from server.errors import AppError


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(memory_kib=64, passes=1)


async def test_hash_and_verify(passwords: Passwords) -> None:
    encoded = await passwords.hash("secret \u00e9\U0001f600")
    assert encoded.startswith("$argon2id$")
    assert encoded != await passwords.hash("secret \u00e9\U0001f600")
    assert await passwords.verify(encoded, "secret \u00e9\U0001f600")
    assert not await passwords.verify(encoded, "Secret")
    assert not await passwords.verify("not a hash", "secret")


async def test_nobody_takes_a_real_run(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    verify = passwords._hasher.verify
    monkeypatch.setattr(
        passwords, "_hasher", type("Counting", (), {"verify": lambda _, *args: runs.append("run") or verify(*args)})()
    )
    assert not await passwords.verify(None, "anything")
    assert runs == ["run"]


async def test_parameters_that_changed_are_noticed(passwords: Passwords) -> None:
    encoded = await passwords.hash("secret")
    assert not passwords.outdated(encoded)
    assert Passwords(memory_kib=128, passes=1).outdated(encoded)


async def test_too_many_waiting_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(memory_kib=64, passes=1, threads=1)
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    gate = threading.Event()
    passwords._pool.submit(gate.wait)
    waiting = [asyncio.create_task(passwords.hash("x")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(AppError) as caught:
        await passwords.hash("x")
    assert (caught.value.code, caught.value.retryable) == ("UNAVAILABLE", True)
    gate.set()
    assert len(await asyncio.gather(*waiting)) == 2
    passwords.close()
