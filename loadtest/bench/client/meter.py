"""How busy processes are, and how long they waited for a core that others had, be it in this machine or in its host."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Load:
    """Shares of one core, 1.0 being all of it.

    Attributes:
        server: of all the meter's processes together, with all their threads. each: one by one.
        client: of this process.
        server_waited: of the process that waited longest; what its main thread was ready to do while something else ran.
        client_waited: of this one. Together with `client` near 1: the load was the limit.
        stolen: what the host took of the time that the cores had work, all cores together; a virtual machine isn't told otherwise.
    """

    server: float
    each: Sequence[float]
    client: float
    server_waited: float
    client_waited: float
    stolen: float

    def details(self, rate: float = 0.0) -> dict[str, float]:
        """For the table, in percent. `per core`: the rate, had the servers had one core to themselves; on a busy machine it tells more."""
        per_core = {"per core": rate / self.server} if rate and self.server else {}
        return {
            **per_core,
            "server CPU %": self.server * 100,
            "server waited %": self.server_waited * 100,
            "load CPU %": self.client * 100,
            "load waited %": self.client_waited * 100,
            "stolen %": self.stolen * 100,
        }


class Meter:
    """Measures from when it is made until `read`.

    Args:
        pids: of servers; ones that have ended count no further.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self._began = time.perf_counter()
        self._before = self._sample()
        self._cores = psutil.cpu_times()

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self._began

    def read(self) -> Load:
        """What happened so far."""
        seconds, now = self.seconds, self._sample()
        ran, waited = (
            [(after - before) / seconds for before, after in zip(*pair, strict=True)]
            for pair in zip(self._before, now, strict=True)
        )
        *servers, client = ran
        *servers_waited, client_waited = waited
        return Load(sum(servers), servers, client, max(servers_waited, default=0.0), client_waited, self._stolen())

    def _stolen(self) -> float:
        before, now = self._cores, psutil.cpu_times()
        stolen = float(getattr(now, "steal", 0.0) - getattr(before, "steal", 0.0))
        worked = sum(
            getattr(now, name) - getattr(before, name)
            for name in ("user", "nice", "system", "softirq", "irq")
            if hasattr(now, name)
        )
        return stolen / (stolen + worked) if stolen else 0.0

    def _sample(self) -> tuple[list[float], list[float]]:
        """Seconds that each process ran, and that it waited; this one last."""
        ran = [*map(_seconds, self._processes), time.process_time()]
        return ran, [*(_waited(process.pid) for process in self._processes), _waited(os.getpid())]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _waited(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # ended, or a kernel that does not tell
        return 0.0


def memory(pid: int) -> tuple[int, int]:
    """Bytes that a process holds: (resident, proportional), the latter with shared pages divided among their users."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size = line.split(":", 1)
        sizes[name] = int(size.split()[0]) * 1024
    return sizes["Rss"], sizes["Pss"]
