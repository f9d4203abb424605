"""What Locust loads. `python -m loadtest` starts it with a market; by hand, with a town that was saved before:

locust -f loadtest/locustfile.py --town FILE [--headless --shape ramp --users 100 --run-time 60] [Watcher Bidder ...]
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import time
from pathlib import Path
from typing import Any, Final

import gevent
import gevent.os
import orjson
from locust import LoadTestShape, events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtest.people.auctioneer import Auctioneer
from loadtest.people.bidder import Bidder
from loadtest.people.chatter import Chatter
from loadtest.people.rest_history import RestHistory
from loadtest.people.watcher import Watcher
from loadtest.people.world import World, begin, world_of
from loadtest.report import Report, rows_of
from loadtest.shapes import SHAPES, Shape
from loadtest.town import Town

__all__ = ["Bidder", "Chatter", "Ramp", "RestHistory", "Spike", "Storm", "Watcher"]

_RUN_S: Final = 120.0
"""How long a shape takes that was not given a time."""

_SPAWN_RATE: Final = 100.0
"""Users a second at most; the shape's curve is slower."""


def _options_of(environment: Environment) -> argparse.Namespace:
    """Those of the command line, or of the page."""
    options: argparse.Namespace | None = environment.parsed_options
    assert options is not None
    return options


class _MarketShape(LoadTestShape):
    abstract = True
    use_common_options = True
    shape: Shape

    @property
    def seconds(self) -> float:
        """How long the run takes."""
        return float(self._options().run_time or _RUN_S)

    def tick(self) -> tuple[int, float] | None:
        """See Locust's base class."""
        done = self.get_run_time() / self.seconds
        if done >= 1:
            return None
        return self.shape.users(done, self._options().num_users or 1), _SPAWN_RATE

    def _options(self) -> argparse.Namespace:
        assert self.runner is not None
        return _options_of(self.runner.environment)


class Ramp(_MarketShape):
    """Up, and steadily on."""

    shape = SHAPES["ramp"]


class Spike(_MarketShape):
    """Everybody comes for the close of one auction."""

    shape = SHAPES["spike"]


class Storm(_MarketShape):
    """All connections are cut at once, twice."""

    shape = SHAPES["storm"]


_SHAPES: Final = {"ramp": Ramp, "spike": Spike, "storm": Storm}


class _Run:
    """What goes on beside the users, from the start of a test to its stop."""

    def __init__(self, environment: Environment) -> None:
        options = _options_of(environment)
        self.world = World(environment, Town.load(Path(options.town)), pace=options.pace, polling=options.polling)
        begin(environment, self.world)
        auctioneer = Auctioneer(self.world)
        self._greenlets = [gevent.spawn(auctioneer.keep_going)]
        shape = environment.shape_class
        if isinstance(shape, _MarketShape):
            self._greenlets += [
                gevent.spawn_later(storm * shape.seconds, self.world.storm) for storm in shape.shape.storms
            ]
            if shape.shape.closes is not None:
                auctioneer.post_hot(shape.shape.closes * shape.seconds)
        self._began, self._cpu = time.monotonic(), time.process_time()
        self.seconds = self.cpu = 0.0

    def end(self) -> None:
        """No more auctions."""
        self.seconds = time.monotonic() - self._began
        self.cpu = (time.process_time() - self._cpu) / self.seconds
        gevent.killall(self._greenlets)
        self.world.end()


_runs: dict[int, _Run] = {}


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """What is Rialto's own among the options."""
    parser.add_argument("--town", required=True, help="file with the accounts and auctions", include_in_web_ui=False)
    parser.add_argument("--pace", type=float, default=1.0, help="factor on all think times")
    parser.add_argument("--polling", type=float, default=0.05, help="share of the sockets that have no WebSocket")
    parser.add_argument(
        "--shape", choices=sorted(_SHAPES), default="ramp", help="of a headless run", include_in_web_ui=False
    )
    parser.add_argument("--report", default="", help="file for the report as JSON", include_in_web_ui=False)
    parser.add_argument(
        "--lifeline",
        type=int,
        default=-1,
        help="file descriptor whose end ends this process too",
        include_in_web_ui=False,
    )


@events.init.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    """Choose the shape; watch over who started this."""
    options = _options_of(environment)
    if options.lifeline >= 0:
        gevent.spawn(_end_with, options.lifeline)
    if options.headless:
        environment.shape_class = _SHAPES[options.shape]()
        environment.shape_class.runner = environment.runner
        logging.getLogger("locust.stats_logger").setLevel(logging.CRITICAL)  # the report below says it better


def _end_with(descriptor: int) -> None:
    gevent.os.tp_read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)


@events.test_start.add_listener
def start(environment: Environment, **_: Any) -> None:
    """A run begins."""
    _runs[id(environment)] = _Run(environment)


@events.test_stop.add_listener
def stop(environment: Environment, **_: Any) -> None:
    """A run is over."""
    _runs[id(environment)].end()


@events.quitting.add_listener
def tell(environment: Environment, **_: Any) -> None:
    """Print the report, and let it decide the exit code of a headless run."""
    run = _runs.get(id(environment))
    if run is None or not _options_of(environment).headless:
        return
    assert environment.runner is not None
    record = world_of(environment).record
    report = Report(
        rows=rows_of(environment.stats.entries),
        seconds=run.seconds,
        errors={f"{error.name}: {error.error}": error.occurrences for error in environment.stats.errors.values()},
        faults=dict(record.faults),
        exceptions=[f"{entry['count']} x {entry['msg']}" for entry in environment.runner.exceptions.values()],
        most_sockets=record.most_sockets,
        load_cpu=run.cpu,
    )
    print(report.text(), flush=True)
    if _options_of(environment).report:
        Path(_options_of(environment).report).write_bytes(orjson.dumps(report.to_json()))
    environment.process_exit_code = 1 if report.complaints() else 0
