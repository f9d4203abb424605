"""Test programs for Node.js, such as those of tests/js."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from server.dev.node import node, packages

__all__ = ["FOLDER", "node", "packages", "run"]

FOLDER: Final = Path(__file__).parents[1] / "js"


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
