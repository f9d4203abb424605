"""Rows of the table: what is measured of whom, what it ought to be, and what came out."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loadtest.bench.contenders import RIALTO, Contenders, Databases, Server
from loadtest.bench.job import Job, Outcome, run
from loadtest.bench.machine import Cores


@dataclass(frozen=True)
class Turn:
    """What one contender did in one round.

    Attributes:
        figure: in the case's unit.
        details: what else was measured, by name with its unit, such as `p99 ms`.
    """

    figure: float
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Results:
    """All turns of one case."""

    turns: dict[str, list[Turn]] = field(default_factory=dict)

    def median(self, contender: str) -> float | None:
        """Of the figures; None for one who does not take part."""
        mine = self.turns.get(contender)
        return statistics.median(turn.figure for turn in mine) if mine else None

    def detail(self, contender: str, name: str) -> float | None:
        """The median of a detail."""
        values = [turn.details[name] for turn in self.turns.get(contender, ()) if name in turn.details]
        return statistics.median(values) if values else None

    def ratio(self, other: str) -> float | None:
        """Ours to another's, round by round; the median of that."""
        pairs = zip(self.turns.get(RIALTO, ()), self.turns.get(other, ()), strict=False)
        ratios = [ours.figure / theirs.figure for ours, theirs in pairs if theirs.figure]
        return statistics.median(ratios) if ratios else None


@dataclass(frozen=True)
class Goal:
    """What a case ought to show. `reached` answers None if it was not measured."""

    text: str
    reached: Callable[[Results], bool | None]


def _compared(value: float | None, compare: Callable[[float], bool]) -> bool | None:
    return None if value is None else compare(value)


def times(least: float, other: str, name: str) -> Goal:
    """At least so many times another's figure."""
    return Goal(f">= {least:g}x {name}", lambda results: _compared(results.ratio(other), lambda value: value >= least))


def no_more_than(other: str, name: str) -> Goal:
    """At most another's figure."""
    return Goal(f"<= {name}", lambda results: _compared(results.ratio(other), lambda value: value <= 1))


def at_least(figure: float) -> Goal:
    """An absolute figure."""
    return Goal(f">= {figure:,g}", lambda results: _compared(results.median(RIALTO), lambda value: value >= figure))


def at_most(figure: float) -> Goal:
    """An absolute figure."""
    return Goal(f"<= {figure:,g}", lambda results: _compared(results.median(RIALTO), lambda value: value <= figure))


def below(figure: float, detail: str) -> Goal:
    """An absolute limit of a detail."""
    return Goal(
        f"{detail} < {figure:g}",
        lambda results: _compared(results.detail(RIALTO, detail), lambda value: value < figure),
    )


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        key: for a program, unique.
        what: for people. unit: of the figure.
        contenders: who takes part, in the order of their turns.
        numbers: how large, by name; `Stage.size` scales them.
    """

    key: str
    what: str
    unit: str
    contenders: Sequence[str]
    goals: Sequence[Goal] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """What a turn works with.

    Attributes:
        seconds: that are measured.
        scale: of the numbers of connections, 1.0 as the table says.
    """

    contenders: Contenders
    databases: Databases
    cores: Cores
    seconds: float
    scale: float

    def size(self, number: int) -> int:
        """A number of connections, scaled."""
        return max(4, round(number * self.scale))

    async def load(
        self,
        module: str,
        servers: Sequence[Server],
        numbers: Mapping[str, int] | None = None,
        auctions: Sequence[str] = (),
        *,
        seconds: float | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Have the load client do a module's `measure`; for the fields see `Job`. Raises JobFailed."""
        job = Job(
            module,
            seconds or self.seconds,
            urls=[server.url for server in servers],
            pids=[server.pid for server in servers],
            secret=self.contenders.secret,
            auctions=auctions,
            numbers=dict(numbers or {}),
            texts=dict(texts or {}),
        )
        return await run(job, self.cores.client)


@dataclass(frozen=True)
class Scenario:
    """Cases that are measured in the same way.

    Attributes:
        name: for the command line.
        about: what is done and how, for the remarks below the table.
        turn: one contender's turn in a case.
    """

    name: str
    about: str
    cases: Sequence[Case]
    turn: Callable[[Stage, Case, str], Awaitable[Turn]]


class Broken(Exception):
    """A contender broke a promise: events were lost or out of order, or a connection was."""


def checked(outcome: Outcome) -> Outcome:
    """The outcome, if the load saw no fault.

    Raises:
        Broken: it did.
    """
    if outcome.get("faults"):
        raise Broken(str(outcome))
    return outcome
