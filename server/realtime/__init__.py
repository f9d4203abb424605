"""The Socket.IO edge: the only importer of python-socketio.

    namespace = sockets.add(Namespace("/bidding", anonymous=True))
    namespace.command("bid", Bid, place_bid, answer=Placed, summary="Place a bid", errors=("BID_TOO_WEAK",))

A handler is `async (connection, body) -> fields of the ack`.
"""

from server.realtime.connection import Connection
from server.realtime.namespace import Namespace
from server.realtime.sockets import Sockets

__all__ = ["Connection", "Namespace", "Sockets"]
