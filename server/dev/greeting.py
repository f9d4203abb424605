"""What `rialto dev` prints once the market is open."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from server.dev.api import Api
from server.dev.demo import rfc3339, web_session
from server.dev.demo_people import ADMIN, BIDDERS, OWNERS, PASSWORD

_PATIENCE_S: Final = 8.0
_SOON: Final = timedelta(minutes=15)
"""An auction that ends within this time is one of the simulator's."""

_TEXT: Final = """
The market is open ({seconds:.1f} s). Its interface is described at {url}/api/docs

Demo accounts, all with the password {password}
  {client:<32} client
  {freelancer:<32} freelancer
  {admin:<32} admin

Try, in another terminal:
  watch an auction live
    curl -N -H 'Accept: text/event-stream' {url}/api/v1/streams/auction:{auction}/events
  list the jobs nearest to Berlin
    curl -s '{url}/api/v1/jobs?near=52.52,13.405&radius_km=300&limit=3'
  log in as a freelancer
    curl -s -H 'Content-Type: application/json' -d '{credentials}' {url}/api/v1/auth/login

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
        auction = await _worth_watching(Api(session, url), _PATIENCE_S if simulated else 0)
    credentials = f'{{"email": "{BIDDERS[0].email}", "password": "{PASSWORD}"}}'
    return _TEXT.format(
        url=url,
        seconds=time.monotonic() - began,
        password=PASSWORD,
        client=OWNERS[0].email,
        freelancer=BIDDERS[0].email,
        admin=ADMIN.email,
        auction=auction,
        credentials=credentials,
        logs=logs,
    ).rstrip()


async def _worth_watching(api: Api, patience_s: float) -> str:
    """The id of an open auction: of those that end soon, which is where people bid, the one that has longest to go."""
    deadline = time.monotonic() + patience_s
    while True:
        jobs: list[dict[str, Any]] = (await api.get("/jobs", status="open", sort="newest", limit=100))["items"]
        ends = {job["auction"]["id"]: job["auction"]["end_at"] for job in jobs if _is_open(job["auction"])}
        soon = rfc3339(datetime.now(UTC) + _SOON)
        lively = {auction: end for auction, end in ends.items() if end < soon}
        if lively:
            return str(max(lively, key=lambda auction: lively[auction]))
        if time.monotonic() > deadline:
            return str(min(ends, key=lambda auction: ends[auction], default="ID"))
        await asyncio.sleep(0.2)


def _is_open(auction: dict[str, Any] | None) -> bool:
    return auction is not None and auction["status"] == "open"
