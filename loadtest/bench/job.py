"""What a measuring process is told, and how it is run: a job as JSON on its standard input, the outcome as JSON on its output.

python -m loadtest.bench.job < job.json
"""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop

from loadtest.bench.machine import pinned

Outcome = dict[str, Any]
"""Figures by name."""

_SLACK_S: Final = 300.0
"""Connecting thousands and waiting for the last event, beside the seconds that are measured."""


class JobFailed(Exception):
    """The measuring process ended with an error; the message has it."""


@dataclass(frozen=True)
class Job:
    """One turn, for the process that measures it.

    Attributes:
        module: its `measure(job)` is run.
        seconds: to measure; what comes before as a warm-up is the module's.
        urls, pids: of the servers.
        secret: that tokens are signed with.
        auctions: ids of open ones.
        numbers: what else the module wants, such as `members`.
        texts: addresses of databases.
    """

    module: str
    seconds: float
    urls: Sequence[str] = ()
    pids: Sequence[int] = ()
    secret: str = ""
    auctions: Sequence[str] = ()
    numbers: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def warm_up(self) -> float:
        """Seconds before those that count: Node compiles what is hot, and caches fill."""
        return min(1.0, self.seconds / 3)


async def run(job: Job, cores: set[int]) -> Outcome:
    """Have a job done by a process of its own, pinned to cores.

    Raises:
        JobFailed: it broke, or took far longer than it may.
    """
    with pinned(cores):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtest.bench.job"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
    try:
        async with asyncio.timeout(job.seconds + _SLACK_S):
            output, errors = await process.communicate(orjson.dumps(asdict(job)))
    except TimeoutError:
        raise JobFailed(f"{job.module}: no end after {job.seconds + _SLACK_S:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise JobFailed(f"{job.module}:\n{errors.decode(errors='replace')[-3000:]}")
    outcome: Outcome = orjson.loads(output)
    return outcome


def main() -> None:
    """Do the job on standard input."""
    job = Job(**orjson.loads(sys.stdin.buffer.read()))
    outcome = uvloop.run(importlib.import_module(job.module).measure(job))
    sys.stdout.buffer.write(orjson.dumps(outcome))
    sys.stdout.flush()
    os._exit(0)  # thousands of sockets need not be taken down one by one


if __name__ == "__main__":
    main()
