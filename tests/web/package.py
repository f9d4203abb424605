"""The client library as a package: its tools, and what TypeScript makes of it."""

from __future__ import annotations

import asyncio
import fcntl
import subprocess
from pathlib import Path
from typing import Final

from tests.contract import node

FOLDER: Final = Path(__file__).parents[2] / "web" / "client"


def tool(name: str, program: str, *arguments: str) -> None:
    """Run a program of one of the package's tools; fails with its output unless it succeeds."""
    script(str(node.packages(FOLDER) / name / program), *arguments)


def script(program: str, *arguments: str) -> None:
    """Run a program in the package's folder; fails with its output unless it succeeds."""
    node.packages(FOLDER)
    command = [*node.node(), program, *arguments]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{program} failed:\n{done.stdout}{done.stderr}"


def build() -> None:
    """`dist`, from the sources as they are. Safe for several test processes."""
    with (FOLDER / "package.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tool("typescript", "bin/tsc", "--project", ".")


async def run(program: str, **environment: str) -> None:
    """Run a test program of the package, which must have been built."""
    await node.run(program, folder=FOLDER, **environment)


async def built() -> None:
    """`build`, aside."""
    await asyncio.to_thread(build)
