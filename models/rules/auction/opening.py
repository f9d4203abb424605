"""The command `open`: the first event of an auction."""

from __future__ import annotations

from typing import Any, Final

from models.rules.auction.commitments import parties_commitment, reserve_commitment, reserve_salt, salt_from
from models.rules.auction.fields import MAX_ID, Fields
from models.rules.auction.state import UNOPENED, State
from models.rules.auction.terms import parse_terms
from models.rules.stream import Command, Decision, Draft, Rejected
from models.rules.times import to_rfc3339

MAX_INVITED: Final = 1_000


def decide_open(state: State, command: Command, t: int) -> Decision:
    """`{job, terms, visibility?: "public"|"invited", invited?: [user ids]}`; the actor becomes the owner.

    Answer: `{seq, start_at, end_at}`.

    Raises:
        Rejected: VALIDATION_FAILED, STALE_STATE when the auction was opened before.
    """
    if state.phase != UNOPENED:
        raise Rejected("STALE_STATE", "The auction was opened before", seq=state.seq)
    salt = salt_from(command.context)
    fields = Fields(command.payload)
    job = fields.required_text("job", MAX_ID)
    visibility = fields.choice("visibility", ("public", "invited"), "public")
    invited = sorted(set(fields.texts("invited", MAX_INVITED, MAX_ID)))
    fields.raise_errors()
    terms = parse_terms(command.payload.get("terms"), t)
    reserve = terms.reserve_amount
    public = {
        "phase": "auction",
        "job": job,
        "format": terms.format,
        "direction": terms.direction,
        "currency": terms.currency,
        "terms": terms.to_json(),
        "start_at": to_rfc3339(terms.start_at),
        "end_at": to_rfc3339(terms.end_at),
        "visibility": visibility,
        "reserve_commitment": None if reserve is None else reserve_commitment(reserve_salt(salt), reserve),
        "parties_commitment": parties_commitment(salt, command.actor, invited),
    }
    private: dict[str, Any] = {"owner": command.actor, "reserve": reserve, "salt": salt, "invited": invited}
    if terms.hidden:
        private["follows"] = 0  # see projection.linked, which can't know the format yet
    answer = {"seq": 1, "start_at": public["start_at"], "end_at": public["end_at"]}
    return Decision((Draft("opened", public, private, t),), answer)
