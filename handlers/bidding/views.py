"""An auction as it is shown."""

from __future__ import annotations

from typing import Any

from models.rules.auction.state import State
from models.rules.auction.view import public_view, status
from server.auth.principal import Principal


def auction_view(auction: str, state: State, now: int) -> dict[str, Any]:
    """The public form: contract.md's `{id, job, format, status, price, end_at, bid_count, seq, ...}`."""
    return {"id": auction, **public_view(state), "status": status(state, now)}


def may_see(state: State, viewer: Principal | None) -> bool:
    """Public auctions are everybody's; others their client's, the invited's and the admins'."""
    if state.visibility == "public":
        return True
    return viewer is not None and (
        viewer.admin or viewer.id == state.owner or viewer.id in state.invited or viewer.id in state.numbers
    )
