"""Where something is, for people and for geographic queries."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Location(BaseModel):
    """A place on the map, an address for people, or neither when the work is remote. Degrees of WGS 84."""

    lat: float | None = None
    lng: float | None = None
    address: str = ""
    remote: bool = False


def geo_point(location: Location | None) -> dict[str, Any] | None:
    """The GeoJSON point that a 2dsphere index takes; None without coordinates."""
    if location is None or location.lat is None or location.lng is None:
        return None
    return {"type": "Point", "coordinates": [location.lng, location.lat]}
