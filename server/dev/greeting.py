"""What `rialto dev` prints once the market is open."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from server.dev.api import Api
from server.dev.demo import rfc3339, web_session
from server.dev.demo_people import ADMIN, BIDDERS, OWNERS, PASSWORD, Person

_PATIENCE_S: Final = 8.0
_SOON: Final = timedelta(minutes=15)
"""An auction that ends within this time is one of the simulator's."""

_TEXT: Final = """
The market is open ({seconds:.1f} s){where}
Its interfaces are described at {url}/api/docs

Demo accounts, all with the password {password}
  {client:<32} client
  {freelancer:<32} freelancer
  {admin:<32} admin

Try, in another terminal:
  watch an auction live
    curl -N -H 'Accept: text/event-stream' {url}/api/v1/streams/auction:{auction}/events
  follow what its client is told: bids, questions, logins
    TOKEN=$(curl -s -H 'Content-Type: application/json' -d '{credentials}' {url}/api/v1/auth/login | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
    curl -N -H "Authorization: Bearer $TOKEN" -H 'Accept: text/event-stream' {url}/api/v1/streams/user:{owner}/events
  list the jobs nearest to Berlin
    curl -s '{url}/api/v1/jobs?near=52.52,13.405&radius_km=300&limit=3'

Logs are in {logs}. Ctrl-C stops everything; the data stay.
"""


async def greeting(url: str, *, logs: Path, began: float, simulated: bool) -> str:
    """The text for a person, with an auction to watch.

    Args:
        url: of a web instance.
        logs: where the logs are.
        began: `time.monotonic()` of the start.
        simulated: whether simulated users are about to bid; if so, an auction of theirs is waited for.
    """
    async with web_session() as session:
        api = Api(session, url)
        auction, owner, client = await _worth_watching(api, _PATIENCE_S if simulated else 0)
        async with session.get(url) as page:
            where = f": {url}" if page.status == 200 else ", but without its web app, which is not built (make web)."
    credentials = f'{{"email": "{client.email}", "password": "{PASSWORD}"}}'
    return _TEXT.format(
        url=url,
        where=where,
        seconds=time.monotonic() - began,
        password=PASSWORD,
        client=client.email,
        freelancer=BIDDERS[0].email,
        admin=ADMIN.email,
        auction=auction,
        owner=owner,
        credentials=credentials,
        logs=logs,
    ).rstrip()


async def _worth_watching(api: Api, patience_s: float) -> tuple[str, str, Person]:
    """An open auction of a demo client, who that is by id, and as a person: of those that end soon, which is where people bid, the one
    that has longest to go."""
    deadline = time.monotonic() + patience_s
    clients: dict[str, Person | None] = {}
    while True:
        jobs: list[dict[str, Any]] = (await api.get("/jobs", status="open", sort="newest", limit=100))["items"]
        running = [job for job in jobs if job["auction"] is not None and job["auction"]["status"] == "open"]
        for owner in {job["owner"] for job in running} - clients.keys():
            clients[owner] = await _person(api, owner)
        running = [job for job in running if clients[job["owner"]] is not None]
        soon = rfc3339(datetime.now(UTC) + _SOON)
        lively = [job for job in running if _end(job) < soon]
        if lively or time.monotonic() > deadline:
            chosen = max(lively, key=_end) if lively else min(running, key=_end, default=None)
            if chosen is None or (client := clients[chosen["owner"]]) is None:
                return "ID", "ID", OWNERS[0]
            return chosen["auction"]["id"], chosen["owner"], client
        await asyncio.sleep(0.2)


def _end(job: dict[str, Any]) -> str:
    return str(job["auction"]["end_at"])


async def _person(api: Api, user: str) -> Person | None:
    """Which of the demo clients that is; None for somebody else."""
    name = (await api.get(f"/users/{user}"))["name"]
    return next((person for person in OWNERS if person.name == name), None)
