"""Fuzz the parsers and the server with many inputs.

    python -m tests.conformance.fuzz --inputs 1000000

Of the inputs, 60 % are Socket.IO packets, 30 % Engine.IO payloads, 8 % streams of WebSocket frames and 2 % whole connections to a
running harness. Most are mutants of what Hypothesis draws. `make test` runs the same properties with fewer (tests/conformance/test_fuzz.py).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Final

import structlog
import uvloop
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance import frames_fuzz, packets_fuzz, talk_fuzz
from tests.conformance.oracle import oracle
from tests.conformance.server import conformance
from tests.server.realtime.wire import Wire
from tests.waiting import until

DRAWN: Final = 5
"""Texts that Hypothesis draws for one example."""

MUTANTS: Final = 19
"""Mutants of each, by a generator whose seed Hypothesis draws, too: drawing them would take most of the time."""

BATCH: Final = DRAWN * (1 + MUTANTS)
"""Texts in one example: the oracle is asked for all of them at once."""

SHARES: Final = {"packets": 0.6, "payloads": 0.3, "frames": 0.08, "connections": 0.02}
"""Which part of the inputs is what."""

Run = Callable[[Coroutine[Any, Any, None]], None]


def _examine(check: Callable[..., None], examples: int, *strategies: st.SearchStrategy[Any], seed: bool) -> None:
    options = settings(
        max_examples=max(1, examples),
        deadline=None,
        database=None,
        derandomize=not seed,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    options(given(*strategies)(check))()


def _batch(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.builds(_with_mutants, st.lists(texts, min_size=DRAWN, max_size=DRAWN), st.integers(0, 2**32))


def _with_mutants(texts: list[str], seed: int) -> list[str]:
    generator = Random(seed)
    return [*texts, *(packets_fuzz.mutant(text, generator) for text in texts for _ in range(MUTANTS))]


def packets(inputs: int, *, seed: bool = False) -> None:
    """Socket.IO packets. `seed`: other inputs each time."""
    with oracle() as official:

        def check(texts: list[str]) -> None:
            packets_fuzz.check_packets(texts, official)

        _examine(check, inputs // BATCH, _batch(packets_fuzz.PACKETS), seed=seed)


def payloads(inputs: int, *, seed: bool = False) -> None:
    """Engine.IO payloads."""
    with oracle() as official, _loop() as run:

        def check(texts: list[str], cuts: list[int]) -> None:
            run(packets_fuzz.check_payloads(texts, cuts, official))

        _examine(check, inputs // BATCH, _batch(packets_fuzz.PAYLOADS), frames_fuzz.CUTS, seed=seed)


def frames(inputs: int, *, seed: bool = False) -> None:
    """Streams of WebSocket frames."""
    streams = st.builds(_with_mutated_streams, frames_fuzz.STREAMS, st.integers(0, 2**32))
    with _loop() as run:

        def check(streams: list[bytes], cuts: list[int], holds: list[bool], deflate: bool) -> None:
            for stream in streams:
                run(frames_fuzz.check_stream(stream, cuts, holds, deflate=deflate))

        examples = inputs // (1 + MUTANTS)
        _examine(check, examples, streams, frames_fuzz.CUTS, frames_fuzz.HOLDS, st.booleans(), seed=seed)


def _with_mutated_streams(stream: bytes, seed: int) -> list[bytes]:
    generator = Random(seed)
    return [stream, *(frames_fuzz.mutant(stream, generator) for _ in range(MUTANTS))]


def connections(inputs: int, *, seed: bool = False) -> None:
    """Connections to a harness: a third each by WebSocket, by polling, and as bytes after the handshake."""
    kinds: list[tuple[Callable[..., Coroutine[Any, Any, None]], st.SearchStrategy[Any]]] = [
        (talk_fuzz.check_talk, talk_fuzz.TALKS),
        (talk_fuzz.check_bodies, talk_fuzz.BODIES),
        (talk_fuzz.check_bytes, talk_fuzz.BYTES),
    ]
    with _loop() as run:
        url, neighbour, close = _serve(run)
        for speak, strategy in kinds:
            _examine(_spoken(run, speak, url, neighbour), inputs // len(kinds), strategy, seed=seed)
        close()


def _spoken(
    run: Run, speak: Callable[..., Coroutine[Any, Any, None]], url: str, neighbour: talk_fuzz.Neighbour
) -> Callable[[Any], None]:
    def check(said: Any) -> None:
        run(speak(url, neighbour, said))

    return check


PROPERTIES: Final = {"packets": packets, "payloads": payloads, "frames": frames, "connections": connections}


@contextmanager
def _loop() -> Iterator[Run]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.run


def _serve(run: Run) -> tuple[str, talk_fuzz.Neighbour, Callable[[], None]]:
    """A harness in the loop, a neighbour on it, and what ends both; all sessions but the neighbour's must be gone by then."""
    stop, served = asyncio.Event(), []

    async def serve(ready: asyncio.Event) -> None:
        async with conformance(25.0, 20.0, 60.0) as harness:
            runner = web.AppRunner(harness.app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            async with Wire(url, "websocket") as wire:
                neighbour = talk_fuzz.Neighbour(wire)
                await neighbour.enter()
                served.extend((url, neighbour))
                ready.set()
                await stop.wait()
                await until(lambda: harness.open_sessions == 1)
            await harness.stop()
            await runner.cleanup()

    async def begin() -> None:
        ready = asyncio.Event()
        tasks.append(asyncio.ensure_future(serve(ready)))
        await ready.wait()

    async def end() -> None:
        stop.set()
        await tasks[0]

    tasks: list[asyncio.Future[None]] = []
    run(begin())
    url, neighbour = served
    return url, neighbour, lambda: run(end())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--only", choices=[*PROPERTIES], help="all inputs of one kind")
    given_ = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name in [given_.only] if given_.only else PROPERTIES:
        inputs = given_.inputs if given_.only else int(given_.inputs * SHARES[name])
        began = time.monotonic()
        PROPERTIES[name](inputs, seed=True)
        print(f"{name:12} {inputs:9,} inputs in {time.monotonic() - began:6.0f} s: no counterexample", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
