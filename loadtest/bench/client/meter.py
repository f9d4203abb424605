"""How busy processes are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import psutil


class Meter:
    """Shares of a core that processes took since the last `start`.

    Args:
        pids: of servers; ones that have ended count no further.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self.start()

    def start(self) -> None:
        """Begin anew."""
        self._began = time.perf_counter()
        self._own = time.process_time()
        self._theirs = [_seconds(process) for process in self._processes]

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._began

    @property
    def client(self) -> float:
        """This process's share."""
        return (time.process_time() - self._own) / self.seconds

    @property
    def servers(self) -> list[float]:
        """Each server's share, all its threads together."""
        seconds = self.seconds
        return [
            (_seconds(process) - before) / seconds
            for process, before in zip(self._processes, self._theirs, strict=True)
        ]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def memory(pid: int) -> tuple[int, int]:
    """Bytes that a process holds: (resident, proportional), the latter with shared pages divided among their users."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size = line.split(":", 1)
        sizes[name] = int(size.split()[0]) * 1024
    return sizes["Rss"], sizes["Pss"]
