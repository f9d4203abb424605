"""How long a logout takes to close every socket of its login, on every instance.

    python -m loadtest.revoke [--tries 50]

Three instances and a worker on databases of their own, behind the real nginx. Somebody holds a socket by WebSocket and one by polling at
each instance itself, and three of each through nginx, in all namespaces; then logs out at one of the instances, at another one
each time. Measured from the request (and, less strictly, from its answer) until the last socket was closed; first with Valkey,
then without, when instances learn of it by looking into MongoDB.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp
import uvloop

from server.dev.api import Api
from tests.cluster.cluster import Cluster
from tests.cluster.databases import Owned
from tests.cluster.debian import Unobtainable, find
from tests.cluster.devices import Devices, Logout
from tests.cluster.proxy import Proxy

GOAL_MS: Final = 1_000.0
_NGINX: Final = {"NGINX_PLAIN": "serve", "NGINX_REQUESTS": "5000", "NGINX_LOGINS": "1000"}


async def measure(cluster: Cluster, proxy: Proxy, http: aiohttp.ClientSession, tries: int) -> list[Logout]:
    """Log in, connect everywhere, log out: so many times."""
    urls = [*cluster.urls, *[proxy.plain] * len(cluster.urls)]
    account = Api(http, cluster.urls[0], email=f"{secrets.token_hex(8)}@example.com", password="correct horse battery")
    await account.register("Somebody", "both")
    outcomes = []
    for number in range(tries):
        await account.sign_in()
        assert account.token is not None
        async with Devices(urls, account.token) as devices:
            assert devices.homes == set(cluster.names), f"sockets at {devices.homes} only"
            outcomes.append(await devices.log_out(http, cluster.urls[number % len(cluster.urls)]))
    return outcomes


async def run(tries: int, nginx: Path) -> bool:
    """Measure with Valkey and without, print the table; whether all were in time."""
    with tempfile.TemporaryDirectory(prefix="rialto-revoke-") as name:
        folder = Path(name)
        databases = Owned(folder / "databases")
        async with (
            Cluster(folder, databases) as cluster,
            Proxy(folder / "nginx", cluster.instances, settings=_NGINX, nginx=nginx) as proxy,
            aiohttp.ClientSession() as http,
        ):
            with_valkey = await measure(cluster, proxy, http, tries)
            await databases.kill_valkey()
            for instance in cluster.names:
                await cluster.ready(instance, "degraded")
            without = await measure(cluster, proxy, http, tries)
    show(with_valkey, without)
    return all(_from_request(outcome) < GOAL_MS for outcome in (*with_valkey, *without))


def _from_request(outcome: Logout) -> float:
    return (outcome.over - outcome.asked) * 1000


def _from_answer(outcome: Logout) -> float:
    return max(0.0, outcome.over - outcome.answered) * 1000


def show(with_valkey: Sequence[Logout], without: Sequence[Logout]) -> None:
    """Print the table."""
    cores = len(os.sched_getaffinity(0))
    print(
        f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}; "
        f"{len(without)} logouts each, 12 sockets at 3 instances"
    )
    print(f"{'until the last socket is closed, ms':36}{'min':>8}{'p50':>8}{'p95':>8}{'max':>8}")
    for redis, outcomes in (("Valkey up", with_valkey), ("Valkey down", without)):
        for since, figure in (("request", _from_request), ("answer", _from_answer)):
            figures = sorted(figure(outcome) for outcome in outcomes)
            shown = (figures[0], _share(figures, 0.5), _share(figures, 0.95), figures[-1])
            print(f"{f'{redis}, from the {since}':36}" + "".join(f"{value:>8.1f}" for value in shown))


def _share(figures: Sequence[float], share: float) -> float:
    return figures[int(share * (len(figures) - 1))]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=50, help="logouts, with Valkey and without each (default: 50)")
    arguments = parser.parse_args()
    try:
        nginx = find("nginx", "nginx")
    except Unobtainable as error:
        parser.exit(2, f"{error}\n")
    if not uvloop.run(run(arguments.tries, nginx)):
        sys.exit(f"not all within {GOAL_MS:.0f} ms")


if __name__ == "__main__":
    main()
