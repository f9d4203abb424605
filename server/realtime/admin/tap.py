"""Between the engine and its listener, while the Admin UI is on: what comes and goes is counted and, in development, shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from server.realtime.engine import Listener
from server.realtime.frames import Frame
from server.realtime.session import Receive, Session

if TYPE_CHECKING:
    from server.realtime.admin.ui import AdminUI


class TappedSession(Session):
    """A session whose frames are looked at on their way out."""

    __slots__ = ()

    def write(self, frame: Frame) -> None:
        """See Session."""
        super().write(frame)
        tap = self.server.listener
        assert isinstance(tap, Tap)
        tap.ui.sent(self, frame)

    def send(self, packet: bytes) -> None:
        """See Session."""
        self.write(Frame(packet))


class Tap:
    """A listener before another.

    Attributes:
        ui: is told of everything.
    """

    def __init__(self, ui: AdminUI, listener: Listener) -> None:
        self.ui = ui
        self._listener = listener

    def opened(self, session: Session) -> Receive:
        """See Listener."""
        # Everything that writes holds the session or its `write`, so this is the one place to look at it. The layout is the same.
        session.__class__ = TappedSession
        self.ui.opened()
        return partial(self._received, session, self._listener.opened(session))

    def closed(self, session: Session, reason: str) -> None:
        """See Listener."""
        self.ui.closing(reason)
        self._listener.closed(session, reason)

    def _received(self, session: Session, receive: Receive, data: str | bytes) -> None:
        self.ui.received(session, data)
        receive(data)
