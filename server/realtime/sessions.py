"""Which live connections belong to which login, so that a logout can end them at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from server.auth.principal import Principal


class Closable(Protocol):
    """A live connection: a socket's transport or an open event stream."""

    def close(self, reason: str) -> None:
        """End it, whatever it is doing. Idempotent."""
        ...


class LiveSessions:
    """The live connections of this instance by login and by user."""

    def __init__(self) -> None:
        self._by_session: dict[str, dict[Closable, int]] = {}
        self._by_user: dict[str, dict[Closable, int]] = {}

    @property
    def users(self) -> int:
        """How many users have live connections here."""
        return len(self._by_user)

    def add(self, principal: Principal, connection: Closable) -> None:
        """Count one use of the connection by the principal; a transport may be used in several namespaces."""
        for uses in (
            self._by_session.setdefault(principal.session, {}),
            self._by_user.setdefault(principal.id, {}),
        ):
            uses[connection] = uses.get(connection, 0) + 1

    def remove(self, principal: Principal, connection: Closable) -> None:
        """Undo one `add`."""
        _forget(self._by_session, principal.session, connection)
        _forget(self._by_user, principal.id, connection)

    def close_session(self, session_id: str) -> int:
        """Close what belongs to a login; returns how many connections that were."""
        return _close(self._by_session.get(session_id, ()))

    def close_user(self, user_id: str) -> int:
        """Close what belongs to a user, on all its logins; returns how many connections that were."""
        return _close(self._by_user.get(user_id, ()))


def _forget(index: dict[str, dict[Closable, int]], name: str, connection: Closable) -> None:
    uses = index[name]
    uses[connection] -= 1
    if not uses[connection]:
        del uses[connection]
        if not uses:
            del index[name]


def _close(connections: Iterable[Closable]) -> int:
    closing = list(connections)
    for connection in closing:
        connection.close("session revoked")
    return len(closing)
