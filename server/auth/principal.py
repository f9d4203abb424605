"""The authenticated caller, as every service sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """A user on one of its sessions.

    Attributes:
        id: the user's id.
        session: id of the login; logging out ends it, on every instance.
        role: `client`, `freelancer` or `both`; company roles `contractor` and `subcontractor` are allowed for later.
        admin: whether the user may do what only the operator may.
        expires_at: when the access token ends, ms.
        moderator: whether the user keeps order in rooms; admins do as well.
    """

    id: str
    session: str
    role: str
    admin: bool = False
    expires_at: int = 0
    moderator: bool = False

    @property
    def rights(self) -> tuple[str, bool, bool]:
        """What the token says about what the user may do; of two equal ones neither gives more."""
        return self.role, self.admin, self.moderator

    @property
    def may_moderate(self) -> bool:
        """Moderators and admins."""
        return self.moderator or self.admin

    @property
    def may_post_jobs(self) -> bool:
        """Clients post; so does whoever is both."""
        return self.admin or self.role in {"client", "both", "contractor"}

    @property
    def may_bid(self) -> bool:
        """Freelancers bid; so does whoever is both."""
        return self.role in {"freelancer", "both", "contractor", "subcontractor"}
