"""What `rialto dev` prints once the market is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from server.dev.api import Api
from server.dev.demo import web_session
from server.dev.demo_people import ADMIN, BIDDERS, OWNERS, PASSWORD

_TEXT = """
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


async def greeting(url: str, *, logs: Path, seconds: float) -> str:
    """The text for a person, with an auction that runs at the moment."""
    async with web_session() as session:
        auction = await _busiest(Api(session, url))
    credentials = f'{{"email": "{BIDDERS[0].email}", "password": "{PASSWORD}"}}'
    return _TEXT.format(
        url=url,
        seconds=seconds,
        password=PASSWORD,
        client=OWNERS[0].email,
        freelancer=BIDDERS[0].email,
        admin=ADMIN.email,
        auction=auction,
        credentials=credentials,
        logs=logs,
    ).rstrip()


async def _busiest(api: Api) -> str:
    """The id of the open auction that ends first, since that is where people bid; a placeholder if there is none."""
    jobs: list[dict[str, Any]] = (await api.get("/jobs", status="open", limit=100))["items"]
    running = [job["auction"] for job in jobs if job.get("auction") and job["auction"]["status"] == "open"]
    return str(min(running, key=lambda auction: auction["end_at"])["id"]) if running else "ID"
