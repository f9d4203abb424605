"""Who lives in the market under load: accounts and auctions, as `loadtest.builder` makes them and people know them."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from models.rules.times import to_rfc3339

PASSWORD: Final = "correct horse battery"
START_AMOUNT: Final = 10_000_000
STEP: Final = 500
"""Minor units. Prices can move twenty thousand steps either way before a run has to end."""


@dataclass(frozen=True)
class Lot:
    """An auction that can be bid on.

    Attributes:
        sign: 1 if more is better, -1 if less is.
        hidden: whether bids are sealed: then no event tells of them.
    """

    id: str
    job: str
    sign: int
    hidden: bool = False


@dataclass
class Town:
    """What people need to know to take part. Accounts are e-mail addresses, all with the same password.

    Attributes:
        urls: web instances.
        limited: whether the market limits rates; its own one does not, as all come from one address.
        people: freelancers who bid, watch and read.
        talkers: clients and freelancers who have rooms together.
        clients: who post jobs while it runs.
    """

    urls: list[str]
    limited: bool
    people: list[str] = field(default_factory=list)
    talkers: list[str] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write it down for another process."""
        path.write_bytes(orjson.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Town:
        """What `save` wrote."""
        content = orjson.loads(path.read_bytes())
        return cls(**{**content, "lots": [Lot(**lot) for lot in content["lots"]]})


def moment(in_s: float) -> str:
    """The time so many seconds from now."""
    return to_rfc3339(round((time.time() + in_s) * 1000))


def job(title: str, format_: str, ends_in_s: float, soft_close: dict[str, Any] | None = None) -> dict[str, Any]:
    """The body of `POST /jobs`, for an auction that runs at once."""
    return {
        "title": title,
        "description": "A job like many others, posted to see how many can bid on it.",
        "category": "painting",
        "skills": ["brush", "ladder"],
        "budget": {"min": START_AMOUNT // 2, "max": START_AMOUNT * 2, "currency": "EUR"},
        "auction": {
            "format": format_,
            "start_amount": START_AMOUNT,
            "increments": [{"from": 0, "step": STEP}],
            "end_at": moment(ends_in_s),
            "soft_close": soft_close,
        },
    }


def lot_of(posted: dict[str, Any]) -> Lot:
    """The auction of a job that was posted."""
    auction = posted["auction"]
    sign = 1 if auction["direction"] == "forward" else -1
    return Lot(auction["id"], posted["id"], sign, auction["format"] in ("sealed", "proposal"))
