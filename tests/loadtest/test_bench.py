"""`make bench`, tiny: every scenario with real processes of every contender, Node's included; no figure is judged."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from loadtest.bench import table
from loadtest.bench.__main__ import SCENARIOS, measure
from loadtest.bench.case import Case, Results, Scenario, Turn, at_least, below, times
from loadtest.bench.client.crowd import tokens
from loadtest.bench.client.ledger import Histogram, Ledger, Span
from loadtest.bench.client.link import Link, Lost
from loadtest.bench.client.reader import Reader
from loadtest.bench.contenders import NODE, RIALTO, VANILLA, Contenders, Databases
from loadtest.bench.machine import Cores
from server.realtime.frames import text

pytestmark = pytest.mark.timeout(900)  # some thirty processes are started, on a machine that others keep busy


def events(*seqs: int, stream: str = "auction:a", amount: int = 5) -> bytes:
    """The body of an `events` frame."""
    told = [{"seq": seq, "amount": amount, "type": "bid"} for seq in seqs]
    return orjson.dumps({"stream": stream, "events": told, "seq": seqs[-1]})


def frame(body: bytes) -> bytes:
    return b'42/bidding,["events",' + body + b"]"


START = len(b'42/bidding,["events",')


class TestLedger:
    """Counting and checking."""

    def test_counts_the_events_of_a_frame(self) -> None:
        ledger = Ledger()
        span = ledger.parse(frame(events(4, 5, 6)), START)
        assert (span.stream, span.first, span.last, span.count) == ("auction:a", 4, 6, 3)
        ledger.take(span)
        ledger.take(ledger.spans[frame(events(4, 5, 6))])
        assert ledger.received == 6

    @pytest.mark.parametrize(
        "body", [events(4, 6), events(4, 4), events(5, 4), b'{"stream":"a","events":[],"seq":4}', b"{"]
    )
    def test_a_frame_that_is_not_dense_is_a_fault(self, body: bytes) -> None:
        ledger = Ledger()
        assert ledger.parse(frame(body), START).count == 0
        assert ledger.faults.total() == 1

    def test_measures_how_late_timed_events_are(self) -> None:
        ledger = Ledger()
        ledger.sent[5] = 0.0
        ledger.take(ledger.parse(frame(events(1)), START))
        ledger.take(ledger.parse(frame(events(2, amount=6)), START))
        assert sum(ledger.late().counts) == 1

    def test_remembers_no_more_frames_than_it_may(self) -> None:
        ledger = Ledger()
        for seq in range(1, 10_000):
            ledger.parse(frame(events(seq)), START)
        assert len(ledger.spans) <= 4096
        assert frame(events(9_999)) in ledger.spans

    def test_faults_are_bounded(self) -> None:
        ledger = Ledger()
        for number in range(100):
            ledger.fault(f"{number}")
        assert ledger.faults.total() == 100
        assert len(ledger.faults) <= 6

    def test_a_resumed_page_is_a_span(self) -> None:
        span = Span.of({"stream": "auction:a", "events": [{"seq": 2, "type": "paused"}], "seq": 2})
        assert span.amounts == [0]

    def test_percentiles(self) -> None:
        histogram = Histogram()
        for ms in range(1, 101):
            histogram.add(ms / 1000 - 0.0001)
        assert histogram.percentile_ms(0.5) == pytest.approx(50, abs=0.3)
        assert histogram.percentile_ms(0.99) == pytest.approx(99, abs=0.3)
        assert Histogram().percentile_ms(0.5) == 0


class Pipe(asyncio.Transport):
    """The transport of a reader: nothing but a place for its protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.BaseProtocol = asyncio.Protocol()
        self.ended = False

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """See above."""

    def abort(self) -> None:
        self.ended = True


class Member:
    """Who reads with a reader, and what became of it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.pipe = Pipe()
        self.seen: list[tuple[int, int]] = []
        self.parsed = 0
        self.reader = Reader(self.pipe, self.take, self.receive)

    def take(self, span: Span) -> None:
        self.seen.append((span.first, span.last))
        self.ledger.take(span)

    def receive(self, payload: bytes) -> Span | None:
        self.parsed += 1
        if not payload.startswith(b"42"):
            return None
        span = self.ledger.spans.get(payload) or self.ledger.parse(payload, START)
        self.take(span)
        return span

    def get(self, *reads: bytes) -> None:
        for read in reads:
            self.reader.data_received(read)


def told(*seqs: int) -> bytes:
    """A WebSocket frame of events."""
    return text(frame(events(*seqs)))


class TestReader:
    """Comparing instead of parsing, which must not miss anything that differs."""

    def test_what_another_member_got_before_is_compared(self) -> None:
        ledger = Ledger()
        first, second = Member(ledger), Member(ledger)
        for member in (first, second):
            member.get(told(1), told(2, 3), told(4), told(5))
            assert member.seen == [(1, 1), (2, 3), (4, 4), (5, 5)]
        assert (first.parsed, second.parsed) == (4, 1)
        assert ledger.received == 10

    def test_several_frames_in_one_read(self) -> None:
        ledger = Ledger()
        Member(ledger).get(told(1), told(2), told(3))
        member = Member(ledger)
        member.get(told(1), told(2) + told(3) + text(b"2") + told(4))
        assert member.seen == [(1, 1), (2, 2), (3, 3), (4, 4)]

    @pytest.mark.parametrize("size", [1, 2, 7, 100])
    def test_frames_in_pieces(self, size: int) -> None:
        ledger = Ledger()
        Member(ledger).get(told(1), told(2), told(3))
        member = Member(ledger)
        data = told(1) + told(2) + told(3)
        member.get(*(data[start : start + size] for start in range(0, len(data), size)))
        assert member.seen == [(1, 1), (2, 2), (3, 3)]
        member.get(told(4))
        assert member.seen[-1] == (4, 4)

    def test_what_differs_is_parsed(self) -> None:
        ledger = Ledger()
        Member(ledger).get(told(1), told(2), told(3))
        member = Member(ledger)
        member.get(told(1), told(2, 3), told(5))
        assert member.seen == [(1, 1), (2, 3), (5, 5)]

    def test_what_the_ledger_forgot_is_parsed_anew(self) -> None:
        ledger = Ledger()
        ledger.sent[5] = 0.0
        seqs = range(1, 10_000)
        Member(ledger).get(*map(told, seqs))
        late = Member(ledger)
        late.get(told(1), told(2))
        assert late.parsed == 2
        assert sum(ledger.late().counts) == len(seqs) + 2

    def test_what_is_no_frame_ends_the_connection(self) -> None:
        member = Member(Ledger())
        member.get(b"\xff\x01a")
        assert member.pipe.ended


def results(ours: list[float], theirs: list[float], **details: float) -> Results:
    names = {name.replace("_", " "): value for name, value in details.items()}
    return Results({RIALTO: [Turn(figure, names) for figure in ours], NODE: [Turn(figure) for figure in theirs]})


async def _never(*_: object) -> Turn:
    raise AssertionError


def a_run(case: Case, measured: Results) -> table.Run:
    return table.Run([Scenario("one", "how", [case], _never)], {case.key: measured}, "3 rounds", "a machine")


class TestTable:
    """Medians, ratios, goals."""

    def test_ratio_is_the_median_of_the_rounds(self) -> None:
        assert results([10, 20, 60], [10, 10, 20]).ratio(NODE) == 2
        assert results([10], []).ratio(NODE) is None

    def test_goals(self) -> None:
        measured = results([20, 20, 20], [10, 10, 10], p99_ms=61)
        assert times(2, NODE, "Node").reached(measured) is True
        assert times(2.1, NODE, "Node").reached(measured) is False
        assert times(2, VANILLA, "vanilla").reached(measured) is None
        assert at_least(20).reached(measured) is True
        assert below(60, "p99 ms").reached(measured) is False

    def test_says_what_was_missed(self) -> None:
        case = Case("a", "echo", "echoes/s", [RIALTO, NODE], [times(2, NODE, "Node"), times(3, NODE, "Node")])
        assert "no: >= 3x Node" in table.text(a_run(case, results([20], [10])))

    def test_marks_a_load_at_its_limit_and_a_disturbed_server(self) -> None:
        case = Case("a", "echo", "echoes/s", [RIALTO, NODE])
        busy = {"load CPU %": 60.0, "load waited %": 36.0, "server waited %": 10.0}
        shown = table.text(
            a_run(case, Results({RIALTO: [Turn(2_000, busy)], NODE: [Turn(1_000, {"load CPU %": 94.0})]}))
        )
        assert "2,000*†" in shown
        assert "1,000*" not in shown

    def test_is_recorded_between_its_marks(self, tmp_path: Path) -> None:
        path = tmp_path / "RESULTS.md"
        path.write_text(f"before\n{table._BEGIN}\nold\n{table._END}\nafter\n")
        case = Case("a", "echo", "echoes/s", [RIALTO, NODE])
        table.record(a_run(case, results([20], [10])), path)
        content = path.read_text()
        assert content.startswith("before\n")
        assert content.endswith("\nafter\n")
        assert "old" not in content
        assert "| echo | echoes/s |" in content
        table.record(a_run(case, results([30], [10])), path)
        assert path.read_text().count("| echo | echoes/s |") == 1

    def test_a_file_without_a_place_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "RESULTS.md"
        path.write_text("nothing")
        with pytest.raises(ValueError, match="no place"):
            table.record(a_run(Case("a", "echo", "", []), Results()), path)


def test_every_core_has_its_work() -> None:
    cores = Cores.of_this_machine()
    assert cores.server
    assert cores.client
    assert cores.databases


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tiny() -> table.Run:
    """All scenarios at a hundredth of their size, each with its first row, and the last if that has other servers.

    python-socketio has shown in two of them that it can connect.
    """
    chosen = [replace(scenario, cases=_different(scenario.cases)) for scenario in SCENARIOS.values()]
    for index, scenario in enumerate(chosen):
        if scenario.name in ("memory", "connects"):
            chosen[index] = replace(
                scenario, cases=[replace(case, contenders=[RIALTO, NODE]) for case in scenario.cases]
            )
    return await measure(chosen, rounds=1, seconds=0.4, scale=0.01)


def _different(cases: Sequence[Case]) -> list[Case]:
    """Of cases with the same contenders and kinds of numbers the first alone."""
    first = {(tuple(case.contenders), case.numbers.get("instances")): case for case in reversed(cases)}
    return list(reversed(first.values()))


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_scenario(tiny: table.Run, name: str) -> None:
    """Nothing is lost, refused or out of order, and everybody who takes part has a figure."""
    (scenario,) = [scenario for scenario in tiny.scenarios if scenario.name == name]
    assert not tiny.broken, tiny.broken
    for case in scenario.cases:
        figures = {contender: tiny.results[case.key].median(contender) for contender in case.contenders}
        # A hundredth of the connections are too few to see in the memory, and cost no hundredth of a second.
        assert name in ("memory", "idle") or all(figure and figure > 0 for figure in figures.values()), figures
        assert None not in figures.values(), figures
        assert case.what in table.text(tiny)


async def test_command_line() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest.bench", "--only", "echo-50-1", "--among", NODE),
        *("--rounds", "1", "--seconds", "0.3", "--scale", "0.1"),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"event + ack echo, 50 clients, window 1" in output
    assert b"window 8," not in output


@pytest.mark.parametrize("name", [NODE, VANILLA])
async def test_peers_check_tokens_as_ours_does(tmp_path: Path, name: str) -> None:
    cores = Cores.of_this_machine()
    contenders = Contenders(Databases(tmp_path, cores))  # not started: these peers need none
    async with contenders.serving(name, cores.server) as (server,):
        with pytest.raises(Lost, match="UNAUTHENTICATED"):
            await Link(Ledger(), server.url, next(tokens("x" * 32))).open()
        link = Link(Ledger(), server.url, next(tokens(contenders.secret)))
        await link.open()
        link.close()
