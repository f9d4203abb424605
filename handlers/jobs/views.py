"""From a job's document to what a caller sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.rules.visibility import DRAFT, Viewer
from server.clock import to_rfc3339


def job_view(job: Mapping[str, Any], viewer: Viewer | None, now: int) -> dict[str, Any]:
    """`JobOut` of schemas.py from the stored form of `models.job.Job`; `now` is in ms."""
    own = viewer is not None and (viewer.admin or viewer.id == job["owner"])
    shown = {
        "id": job["_id"],
        "owner": job["owner"],
        "title": job["title"],
        "description": job["description"],
        "category": job["category"],
        "skills": job["skills"],
        "budget": job.get("budget"),
        "location": _location(job.get("location")),
        "visibility": job["visibility"],
        "priority": job["priority"],
        "status": job["status"],
        "revision": job["revision"],
        "view_count": job["view_count"],
        "created_at": to_rfc3339(job["created_at"]),
        "updated_at": to_rfc3339(job["updated_at"]),
        "published_at": _time(job.get("published_at")),
        "auction": _auction(job.get("auction"), now),
    }
    if own:
        shown["invited"] = job["invited"]
        if job["scope"] == DRAFT and job.get("terms") is not None:
            shown["terms"] = _terms(job["terms"])
    if "distance_m" in job:
        shown["distance_km"] = round(job["distance_m"] / 1000, 2)
    return shown


def _terms(stored: Mapping[str, Any]) -> dict[str, Any]:
    """`AuctionIn` of schemas.py: what `parse_terms` takes, with times as they were sent."""
    shown = {**stored, **{name: to_rfc3339(stored[name]) for name in ("start_at", "end_at") if name in stored}}
    soft_close = stored.get("soft_close")
    if soft_close is not None:
        shown["soft_close"] = {**soft_close, "hard_end_at": _time(soft_close.get("hard_end_at"))}
    return shown


def _location(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if stored is None:
        return None
    return {
        "lat": stored.get("lat"),
        "lng": stored.get("lng"),
        "address": stored.get("address", ""),
        "remote": stored.get("remote", False),
    }


def _auction(stored: Mapping[str, Any] | None, now: int) -> dict[str, Any] | None:
    if stored is None:
        return None
    return {
        "id": stored["id"],
        "format": stored["format"],
        "direction": stored["direction"],
        "status": _auction_status(stored, now),
        "currency": stored["currency"],
        "start_amount": stored["start_amount"],
        "price": stored.get("price"),
        "leader": stored.get("leader"),
        "bid_count": stored.get("bid_count"),
        "reserve_met": stored.get("reserve_met"),
        "start_at": _time(stored.get("start_at")),
        "end_at": to_rfc3339(stored["end_at"]),
        "seq": stored["seq"],
    }


def _auction_status(stored: Mapping[str, Any], now: int) -> str:
    """As `models.rules.auction.view.status`, from the stored summary."""
    phase = stored["phase"] or "draft"
    if phase != "open":
        return str(phase)
    if now < stored.get("start_at", 0):
        return "scheduled"
    return "closed" if now >= stored["end_at"] else "open"


def _time(ms: int | None) -> str | None:
    return None if ms is None else to_rfc3339(ms)
