"""The table: on a terminal, and as Markdown for RESULTS.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.bench.case import Case, Results, Scenario
from loadtest.bench.contenders import NODE, RIALTO, VANILLA

_BEGIN: Final = "<!-- make bench --record writes from here -->"
_END: Final = "<!-- to here -->"

_BUSY: Final = 95.0
"""Percent of its core from which on the load may have been the limit, not the server; what others took of it counts as well."""

_DISTURBED: Final = 10.0
"""Percent of the time that a server waited for its core, from which on its figure is not its own."""

_COLUMNS: Final = {RIALTO: "Rialto", NODE: "Node", VANILLA: "python-socketio"}
_NO_STORE: Final = (
    "Node's and python-socketio's servers have no durable store: they number an event, emit it, and keep nothing."
)


@dataclass(frozen=True)
class Run:
    """What a run gave.

    Attributes:
        settings: one line: how long, how often, which core is whose. machine: one line.
        results: by the case's key.
        broken: turns that failed, as messages.
    """

    scenarios: Sequence[Scenario]
    results: dict[str, Results]
    settings: str
    machine: str
    broken: Sequence[str] = ()

    @property
    def cases(self) -> list[Case]:
        """Those that were measured, in the table's order."""
        return [case for scenario in self.scenarios for case in scenario.cases if self.results[case.key].turns]


def text(run: Run) -> str:
    """For a terminal."""
    sheets = [_aligned(_main(run)), _aligned(_details(run))]
    return "\n".join([run.machine, run.settings, "", *sheets, *_remarks(run)])


def markdown(run: Run) -> str:
    """For RESULTS.md, without a heading."""
    sheets = [_piped(_main(run)), _piped(_details(run))]
    return "\n".join([run.machine + ". " + run.settings, "", *sheets, *(f"- {remark}" for remark in _remarks(run))])


def record(run: Run, path: Path) -> None:
    """Put the table into a file, between its two marks.

    Raises:
        ValueError: the marks are not there.
    """
    content = path.read_text()
    before, begin, rest = content.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{path.name} has no place for the table: {_BEGIN} ... {_END}")
    path.write_text(f"{before}{begin}\n{markdown(run)}\n{end}{after}")


def _main(run: Run) -> list[list[str]]:
    rows = [["", "unit", "goal", *_COLUMNS.values(), "beside", "ratio", "reached"]]
    for case in run.cases:
        results = run.results[case.key]
        others = [contender for contender in case.contenders if contender not in _COLUMNS]
        beside = ", ".join(f"{_figure(results, other)} ({other})" for other in others)
        rival = next((contender for contender in case.contenders if contender != RIALTO), "")
        ratio = results.ratio(rival)
        rows.append(
            [
                case.what,
                case.unit,
                ", ".join(goal.text for goal in case.goals),
                *(_figure(results, contender) for contender in _COLUMNS),
                beside,
                "" if ratio is None else f"{ratio:.2f}x",
                _verdict(case, results),
            ]
        )
    return rows


def _figure(results: Results, contender: str) -> str:
    figure = results.median(contender)
    if figure is None:
        return ""
    load = (results.detail(contender, "load CPU %") or 0) + (results.detail(contender, "load waited %") or 0)
    waited = results.detail(contender, "server waited %") or 0
    return _number(figure) + ("*" if load >= _BUSY else "") + ("†" if waited >= _DISTURBED else "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _verdict(case: Case, results: Results) -> str:
    verdicts = [goal.reached(results) for goal in case.goals]
    known = [verdict for verdict in verdicts if verdict is not None]
    if not known:
        return ""
    missed = ", ".join(goal.text for goal, verdict in zip(case.goals, verdicts, strict=True) if verdict is False)
    return f"no: {missed}" if missed else "yes"


def _details(run: Run) -> list[list[str]]:
    rows = [["", "of", "rounds", "details, medians"]]
    for case in run.cases:
        results = run.results[case.key]
        for contender, turns in results.turns.items():
            names = list(dict.fromkeys(name for turn in turns for name in turn.details))
            details = ", ".join(f"{name} {_number(results.detail(contender, name) or 0)}" for name in names)
            rounds = " ".join(_number(turn.figure) for turn in turns)
            rows.append([case.what, contender, rounds, details])
    return rows


def _remarks(run: Run) -> list[str]:
    marks = "".join(cell for row in _main(run) for cell in row)
    remarks = [f"{scenario.name}: {scenario.about}" for scenario in run.scenarios]
    remarks.append(_NO_STORE + " The ratio is ours to the first of the others, the median of the rounds.")
    if "*" in marks:
        remarks.append(
            f"* the load ran, or wanted to, {_BUSY:.0f} % of the time or more: the server could have done better"
        )
    if "†" in marks:
        remarks.append(f"† something else had the server's core for {_DISTURBED:.0f} % of the time or more")
    return [*remarks, *(f"BROKEN: {message}" for message in run.broken)]


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _piped(rows: list[list[str]]) -> str:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body]) + "\n"
