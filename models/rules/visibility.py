"""Who may see a job, and with it its auction and whatever hangs on them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

DRAFT: Final = "draft"
PUBLIC: Final = "public"
INVITED: Final = "invited"


class Scoped(Protocol):
    """What is asked of a job. `scope` is `draft` until it is published, then `public` or `invited`."""

    @property
    def owner(self) -> str:
        """User id of who posted it."""
        ...

    @property
    def scope(self) -> str:
        """`draft`, `public` or `invited`."""
        ...

    @property
    def invited(self) -> Collection[str]:
        """User ids."""
        ...


class Viewer(Protocol):
    """What is asked of a caller."""

    @property
    def id(self) -> str:
        """User id."""
        ...

    @property
    def admin(self) -> bool:
        """Whether the caller may see everything."""
        ...


def job_visible(job: Scoped, viewer: Viewer | None) -> bool:
    """Whether a caller may see a job; None is anonymous. To everybody else it must look as if there were no such job."""
    if job.scope == PUBLIC:
        return True
    if viewer is None:
        return False
    if viewer.admin or viewer.id == job.owner:
        return True
    return job.scope == INVITED and viewer.id in job.invited
