"""What a run gave: a table of latencies per command, and whether it was good enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

MOST_ERRORS: Final = 0.001
"""Failures per command that are borne."""

_DELIVERIES: Final = "EVENTS"
_REFUSALS: Final = "REFUSED"
_WAITS: Final = "WAITED"


@dataclass(frozen=True)
class Row:
    """One line of the table; times in ms.

    Attributes:
        kind: `SOCKET`, a method of HTTP, `WAITED` for long polls, `REFUSED` for refusals that belong to the market, `EVENTS` for deliveries.
    """

    kind: str
    name: str
    count: int
    failures: int
    p50: float
    p95: float
    p99: float
    most: float


@dataclass(frozen=True)
class Report:
    """One run.

    Attributes:
        seconds: how long it took.
        errors: `name: reason` of failures, and how many.
        faults: broken promises of streams, by kind.
        exceptions: of the load itself; then what it measured counts for nothing.
        most_sockets: open at the same time.
        load_cpu: cores that making the load took, 1.0 at most as it is one thread.
    """

    rows: Sequence[Row]
    seconds: float
    errors: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)
    exceptions: Sequence[str] = ()
    most_sockets: int = 0
    load_cpu: float = 0.0

    @property
    def commands(self) -> int:
        """Commands and calls that were answered or failed; not deliveries."""
        return sum(row.count for row in self.rows if row.kind != _DELIVERIES)

    @property
    def failures(self) -> int:
        """Of the commands."""
        return sum(row.failures for row in self.rows if row.kind != _DELIVERIES)

    def complaints(self) -> list[str]:
        """Why the run is not good enough; empty if it is."""
        found = [f"a stream had {count} x {kind}" for kind, count in sorted(self.faults.items())]
        found += [f"the load itself failed: {exception}" for exception in self.exceptions]
        if not self.commands:
            found.append("nobody did anything")
        elif self.failures > MOST_ERRORS * self.commands:
            share = self.failures / self.commands
            found.append(
                f"{self.failures} of {self.commands} commands failed, {share:.2%}; {MOST_ERRORS:.1%} are borne"
            )
        return found

    def text(self) -> str:
        """The table and what there is to say about it."""
        width = max([len(row.name) for row in self.rows], default=0) + 2
        lines = [
            f"{'':{width}}{'count':>9}{'failed':>8}{'per s':>9}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'max ms':>9}"
        ]
        for title, rows in self._groups():
            lines.append(title)
            for row in rows:
                rate = row.count / self.seconds if self.seconds else 0.0
                lines.append(
                    f"{row.name:{width}}{row.count:>9,}{row.failures:>8,}{rate:>9,.1f}"
                    f"{row.p50:>9,.0f}{row.p95:>9,.0f}{row.p99:>9,.0f}{row.most:>9,.0f}"
                )
        lines += ["", *self._remarks()]
        return "\n".join(lines)

    def _groups(self) -> list[tuple[str, list[Row]]]:
        ordered = sorted(self.rows, key=lambda row: row.name)
        titles = {
            _WAITS: "calls that wait for an event on purpose",
            _REFUSALS: "refused, as it goes in a market",
            _DELIVERIES: "deliveries, from the moment an event was decided to its receipt",
        }
        groups = [
            ("commands over sockets", [row for row in ordered if row.kind == "SOCKET"]),
            ("calls over REST", [row for row in ordered if row.kind not in ("SOCKET", *titles)]),
            *((title, [row for row in ordered if row.kind == kind]) for kind, title in titles.items()),
        ]
        return [(title, rows) for title, rows in groups if rows]

    def _remarks(self) -> list[str]:
        share = self.failures / self.commands if self.commands else 0.0
        remarks = [
            f"{self.seconds:.0f} s, at most {self.most_sockets:,} sockets; {self.commands:,} commands, "
            f"{self.failures:,} failed ({share:.3%}); making the load took {self.load_cpu:.0%} of a core"
        ]
        remarks += [f"  {count} x {error}" for error, count in sorted(self.errors.items())]
        complaints = self.complaints()
        return remarks + ([f"NOT GOOD: {complaint}" for complaint in complaints] or ["good"])

    def to_json(self) -> dict[str, Any]:
        """All of it, for a program."""
        return {**asdict(self), "commands": self.commands, "failures": self.failures, "complaints": self.complaints()}


def rows_of(entries: Mapping[Any, Any]) -> list[Row]:
    """The rows of Locust's statistics: `environment.stats.entries`."""

    def row(entry: Any) -> Row:
        p50, p95, p99 = (float(entry.get_response_time_percentile(share)) for share in (0.5, 0.95, 0.99))
        return Row(
            entry.method,
            entry.name,
            entry.num_requests,
            entry.num_failures,
            p50,
            p95,
            p99,
            float(entry.max_response_time),
        )

    return [row(entry) for entry in entries.values()]
