"""One exception type for everything that is answered to a client.

Each failure has a stable `code` (contract.md, bidding.md). The code alone decides the HTTP status and whether a retry of
the same command can help; transports only render it (`server.web.problems`, `server.realtime.namespace`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple


class CodeSpec(NamedTuple):
    """How a code is answered: HTTP status, whether a retry can help, the short title of the problem."""

    status: int
    retryable: bool
    title: str


CODES: Final[Mapping[str, CodeSpec]] = {
    "MALFORMED_JSON": CodeSpec(400, False, "The body is not valid JSON"),
    "BAD_REQUEST": CodeSpec(400, False, "The request cannot be understood"),
    "UNAUTHENTICATED": CodeSpec(401, False, "A valid access token is needed"),
    "FORBIDDEN": CodeSpec(403, False, "Not allowed"),
    "NOT_INVITED": CodeSpec(403, False, "Only invited freelancers may bid"),
    "SELF_BID": CodeSpec(403, False, "The owner of a job cannot bid on it"),
    "BLOCKED": CodeSpec(403, False, "Blocked by the other side"),
    "QUOTA_EXCEEDED": CodeSpec(403, False, "The plan's quota is used up"),
    "NOT_FOUND": CodeSpec(404, False, "No such thing"),
    "AUCTION_NOT_FOUND": CodeSpec(404, False, "No such auction"),
    "METHOD_NOT_ALLOWED": CodeSpec(405, False, "The method is not allowed here"),
    "NOT_ACCEPTABLE": CodeSpec(406, False, "No representation fits"),
    "CONFLICT": CodeSpec(409, False, "The state does not allow it"),
    "EMAIL_TAKEN": CodeSpec(409, False, "The e-mail address has an account"),
    "AUCTION_NOT_OPEN": CodeSpec(409, False, "The auction is not open"),
    "AUCTION_CLOSED": CodeSpec(409, False, "The auction is closed"),
    "AUCTION_PAUSED": CodeSpec(409, False, "The auction is paused"),
    "ALREADY_LEADING": CodeSpec(409, False, "The bidder leads already"),
    "LIMIT_NOT_IMPROVED": CodeSpec(409, False, "The limit is not better than the one before"),
    "BID_TOO_WEAK": CodeSpec(409, False, "The bid is too weak"),
    "CONFIRM_REQUIRED": CodeSpec(409, False, "A jump this large needs confirmation"),
    "RETRACT_NOT_ALLOWED": CodeSpec(409, False, "The bid cannot be retracted"),
    "CANCEL_TOO_LATE": CodeSpec(409, False, "The auction cannot be cancelled any more"),
    "AWARD_CONFLICT": CodeSpec(409, False, "The award does not fit the auction's state"),
    "STALE_STATE": CodeSpec(409, False, "The state has moved on"),
    "EDIT_TOO_LATE": CodeSpec(409, False, "The message can no longer be edited"),
    "IDEMPOTENCY_MISMATCH": CodeSpec(409, False, "The key was used with another payload"),
    "TOO_LARGE": CodeSpec(413, False, "Too large"),
    "UNSUPPORTED_MEDIA_TYPE": CodeSpec(415, False, "The body must be application/json"),
    "VALIDATION_FAILED": CodeSpec(422, False, "Some fields are not valid"),
    "AMOUNT_INVALID": CodeSpec(422, False, "The amount is not valid"),
    "CURRENCY_MISMATCH": CodeSpec(422, False, "The currency is not the auction's"),
    "BEYOND_START": CodeSpec(422, False, "The amount is worse than the start"),
    "CONTACT_SHARING": CodeSpec(422, False, "Contact details are not exchanged before there is a contract"),
    "UNKNOWN_COMMAND": CodeSpec(422, False, "No such command"),
    "RATE_LIMITED": CodeSpec(429, True, "Too many requests"),
    "INTERNAL": CodeSpec(500, False, "Something went wrong here"),
    "UNAVAILABLE": CodeSpec(503, True, "Not available for the moment"),
}


class AppError(Exception):
    """A failure with a stable code.

    Args:
        code: a key of `CODES`.
        message: one sentence for a person; defaults to the title of the code.
        details: JSON-able facts for a program, such as `min_next` or `retry_after_ms`.
        errors: for VALIDATION_FAILED: `{"loc": [...], "msg": "..."}` per offending field.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        errors: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        spec = CODES[code]
        self.code = code
        self.status = spec.status
        self.retryable = spec.retryable
        self.title = spec.title
        self.message = message or spec.title
        self.details = dict(details) if details else None
        self.errors = [dict(error) for error in errors] if errors else None
        super().__init__(f"{code}: {self.message}")

    @property
    def retry_after_s(self) -> int:
        """After how many seconds a retry can help, for `Retry-After`; 1 where nothing says more."""
        wait_ms: int = (self.details or {}).get("retry_after_ms", 1000)
        return max(1, math.ceil(wait_ms / 1000))

    def to_ack(self) -> dict[str, Any]:
        """The socket form: `{ok: false, error: {code, message, retryable, details?}}`."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "retryable": self.retryable}
        details = dict(self.details or {})
        if self.errors:
            details["errors"] = self.errors
        if details:
            error["details"] = details
        return {"ok": False, "error": error}
