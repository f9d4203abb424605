"""Rialto and its peers side by side; `make bench ARGS="..."`.

    python -m loadtest.bench [--only echo,fanout] [--rounds 3] [--seconds 4] [--record]

Prints a table of medians and ratios. Every turn has a fresh server process; contenders take turns, so that a machine whose speed drifts
treats them alike. Exit code 1 if a promise was broken: an event lost, out of order or delivered twice, or a connection that was cut.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import orjson
import uvloop

from loadtest.bench import machine, table
from loadtest.bench.case import Broken, Case, Results, Scenario, Stage
from loadtest.bench.contenders import PEERS, Contenders, Databases
from loadtest.bench.job import JobFailed
from loadtest.bench.scenarios import bids, connects, echo, fanout, idle, memory, reconnects, service, watchers
from loadtest.market import Unready
from tests.contract.node import node

SCENARIOS: Final = {
    module.SCENARIO.name: module.SCENARIO
    for module in (fanout, echo, memory, connects, idle, bids, service, watchers, reconnects)
}

_FILES: Final = 9_000
"""What 8,000 sockets of one process need, on either side."""

_RESULTS: Final = Path(__file__).parents[1] / "RESULTS.md"


async def measure(
    scenarios: Sequence[Scenario], *, rounds: int, seconds: float, scale: float, among: Collection[str] = ()
) -> table.Run:
    """Let everybody take turns.

    Args:
        scale: of the numbers of connections, 1.0 as the table says.
        among: the contenders that take part; all if empty.
    """
    cores = machine.Cores.of_this_machine()
    described = machine.description(_version(node()), _locked("socket.io"))
    if (limit := machine.raise_file_limit()) < _FILES * scale:
        print(
            f"A process may open {limit:,} files here: rows with more sockets will fail (`ulimit -n`)", file=sys.stderr
        )
    results = {case.key: Results() for scenario in scenarios for case in scenario.cases}
    broken: list[str] = []
    with tempfile.TemporaryDirectory(prefix="rialto-bench-") as folder, machine.pinned(cores.client):
        async with Databases(Path(folder), cores) as databases:
            stage = Stage(Contenders(databases), databases, cores, seconds, scale)
            for scenario in scenarios:
                for case in scenario.cases:
                    for _ in range(rounds):
                        for contender in case.contenders:
                            if not among or contender in among:
                                await _turn(stage, scenario, case, contender, results[case.key], broken)
    settings = f"{rounds} rounds of {seconds:g} s" + (f", scaled by {scale:g}" if scale != 1 else "")
    return table.Run(scenarios, results, f"{settings}; {cores.text()}", described, broken)


async def _turn(
    stage: Stage, scenario: Scenario, case: Case, contender: str, results: Results, broken: list[str]
) -> None:
    try:
        turn = await scenario.turn(stage, case, contender)
    except (Broken, JobFailed, Unready) as error:
        broken.append(f"{case.what}, {contender}: {error}")
        print(f"{case.what}, {contender}: BROKEN: {error}", file=sys.stderr, flush=True)
        return
    results.turns.setdefault(contender, []).append(turn)
    details = ", ".join(f"{name} {value:,.1f}" for name, value in turn.details.items())
    print(f"{case.what}, {contender}: {turn.figure:,.1f} {case.unit} ({details})", file=sys.stderr, flush=True)


def _version(command: list[str]) -> str:
    answer = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    return answer.stdout.strip().lstrip("v")


def _locked(package: str) -> str:
    lock = orjson.loads((PEERS / "package-lock.json").read_bytes())
    return str(lock["packages"][f"node_modules/{package}"]["version"])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", metavar="NAMES", help=f"of {','.join(SCENARIOS)}; or of their rows, such as fanout-100"
    )
    parser.add_argument("--among", metavar="NAMES", help="contenders that take part, such as rialto,node")
    parser.add_argument("--seconds", type=float, default=4.0, help="measured in one turn (default 4)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender in each row (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="of all numbers of connections (default 1)")
    parser.add_argument("--record", action="store_true", help=f"write the table into loadtest/{_RESULTS.name}, too")
    options = parser.parse_args()
    chosen = _chosen(options.only.split(",")) if options.only else list(SCENARIOS.values())
    if not chosen:
        parser.error(f"--only {options.only}: there is none of that name")
    among = options.among.split(",") if options.among else ()
    run = asyncio.Runner(loop_factory=uvloop.new_event_loop).run(
        measure(chosen, rounds=options.rounds, seconds=options.seconds, scale=options.scale, among=among)
    )
    print(table.text(run))
    if options.record:
        table.record(run, _RESULTS)
    sys.exit(1 if run.broken else 0)


def _chosen(names: Sequence[str]) -> list[Scenario]:
    """The scenarios of these names, and those that have rows of these keys, with these rows alone."""
    chosen = []
    for scenario in SCENARIOS.values():
        cases = scenario.cases if scenario.name in names else [case for case in scenario.cases if case.key in names]
        if cases:
            chosen.append(Scenario(scenario.name, scenario.about, cases, scenario.turn))
    return chosen


if __name__ == "__main__":
    main()
