"""The auctions of the demo market: which job, under which terms, and how far each one has come."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

Stage = Literal[
    "open", "scheduled", "paused", "cancelled", "no_bids", "reserve_not_met", "awarded", "accepted", "declined"
]
"""Where the demo leaves an auction. Those after `cancelled` have ended before the demo is ready."""

HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S


class Auction(NamedTuple):
    """One auction of the demo.

    Attributes:
        title: of its job in `demo_jobs`.
        format: see bidding rules; `direction` follows from it, forward for english.
        stage: where it is left.
        bids: how many are placed.
        runs_s: seconds until its end; ended ones run just long enough to be bid on.
        starts_s: seconds until it starts, for scheduled ones.
        extra: further terms, amounts in whole units of the job's currency.
    """

    title: str
    format: Literal["reverse", "english", "sealed", "proposal"]
    stage: Stage
    bids: int = 0
    runs_s: int = 0
    starts_s: int = 0
    extra: Mapping[str, Any] = MappingProxyType({})

    @property
    def ended(self) -> bool:
        """Whether its end comes while the demo is loaded."""
        return self.stage in ("no_bids", "reserve_not_met", "awarded", "accepted", "declined")


SOFT_CLOSE: Final = {"window_s": 300, "extension_s": 300}

AUCTIONS: Final = (
    Auction(
        "Booking site for a small sailing school", "reverse", "open", 9, 3 * DAY_S,
        extra={"soft_close": SOFT_CLOSE, "confirm_jump_percent": 40},
    ),
    Auction(
        "Solar pumps for three village wells", "reverse", "open", 6, 2 * DAY_S,
        extra={"soft_close": SOFT_CLOSE, "reserve_amount": 6000},
    ),
    Auction(
        "Restore eight wooden windows in an old flat", "reverse", "open", 7, 20 * HOUR_S,
        extra={"increments": [{"from": 0, "step": 10}, {"from": 1000, "step": 25}, {"from": 3000, "step": 50}]},
    ),
    Auction("Sixty stage lamps to the best offer", "english", "open", 8, 30 * HOUR_S, extra={"soft_close": SOFT_CLOSE}),
    Auction("Plans for a kindergarten's extension", "sealed", "open", 4, 5 * DAY_S),
    Auction("Wayfinding signs for a public library", "proposal", "open", 4, 6 * DAY_S),
    Auction("Music for a point-and-click adventure", "reverse", "scheduled", 0, 9 * DAY_S, 2 * DAY_S),
    Auction("Move our cluster to a new data centre", "reverse", "paused", 3, 4 * DAY_S),
    Auction("Dinner for 90 guests in a tram depot", "reverse", "cancelled", 2, 7 * DAY_S),
    Auction("The kiosk on the quay for one summer", "english", "reserve_not_met", 3, extra={"reserve_amount": 13500}),
    Auction("Repair the clock of a railway station", "reverse", "no_bids"),
    Auction("Clean a four-storey office before reopening", "reverse", "awarded", 5),
    Auction("Stock-keeping app for a bicycle workshop", "reverse", "accepted", 6),
    Auction("Charging points for a shared garage", "sealed", "accepted", 5),
    Auction("Three-minute film about a violin maker", "proposal", "declined", 3),
)  # fmt: skip

COVER_LETTERS: Final = (
    "I have done two jobs of this kind in the last year and can show both. I would start with half a day on site, because "
    "the price depends on what we find there, and keep the offer if nothing unexpected turns up.",
    "Your brief is clear, so mine is short: a first version after a third of the time, your corrections, then the rest. I "
    "work alone and answer the same day.",
    "We are a team of three and would share the work. The schedule has a week of slack that we hope to give back to you. "
    "References are on the profile.",
    "This is exactly the work I trained for. I would like to propose a smaller first step with a fixed price, after which "
    "both of us are free to stop.",
)

CANCELLED_BECAUSE: Final = "The depot's licence for events was withdrawn."
DECLINED_BECAUSE: Final = "My earlier project runs three weeks longer than planned. I am sorry."
