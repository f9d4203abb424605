"""The machine: which cores are whose, and how it is described beside the figures."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from server.dev.binaries import MONGOD, VALKEY


@dataclass(frozen=True)
class Cores:
    """Who runs where.

    Attributes:
        server: a single server, alone on its core.
        client: the load.
        databases: MongoDB and Valkey; with the load where there are only two cores.
        several: instances that compete or work together; all cores where there are only two or three.
    """

    server: set[int]
    client: set[int]
    databases: set[int]
    several: set[int]

    @classmethod
    def of_this_machine(cls) -> Cores:
        """From the cores that this process may use."""
        cores = sorted(os.sched_getaffinity(0))
        client = cores[1 % len(cores)]
        rest = set(cores[2:])
        return cls({cores[0]}, {client}, rest or {client}, {cores[0]} | rest if len(rest) > 1 else set(cores))

    def text(self) -> str:
        """For people."""
        return (
            f"server on core {_list(self.server)}, load on core {_list(self.client)}, databases on core "
            f"{_list(self.databases)}, several instances together on cores {_list(self.several)}"
        )


def _list(cores: set[int]) -> str:
    return ", ".join(map(str, sorted(cores)))


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Processes that are started in here run on these cores, with all the threads that they will have."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_file_limit() -> int:
    """Let this process, and those that it starts, open as many files as the system allows; how many that are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def description(node: str, socketio: str) -> str:
    """One sentence: what ran on what.

    Args:
        node: the version of Node.js. socketio: of its Socket.IO.
    """
    memory = round(psutil.virtual_memory().total / 2**30)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {_processor()}), {memory} GB, {_system()}; Python "
        f"{platform.python_version()}, uvloop {version('uvloop')}, aiohttp {version('aiohttp')}; Node.js {node}, Socket.IO {socketio}; "
        f"python-socketio {version('python-socketio')}; {_program(MONGOD.find())}, {_program(VALKEY.find())}; "
        f"load {os.getloadavg()[0]:.1f} before the run"
    )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown processor"


def _system() -> str:
    with suppress(OSError):
        return platform.freedesktop_os_release().get("PRETTY_NAME", sys.platform)
    return sys.platform


def _program(path: Path) -> str:
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return answer.stdout.splitlines()[0].strip()
