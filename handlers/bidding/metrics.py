"""What bidding counts."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

BIDS: Final = Counter(
    "bids_total",
    "Bids that this instance answered, by outcome: accepted, replayed, or the code of the refusal",
    ["outcome"],
)
