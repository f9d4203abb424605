"""The server's side of the Socket.IO Admin UI (https://admin.socket.io, `@socket.io/admin-ui` 0.5), for operators; off by default.

python-socketio's `instrument()` can't be used: it wraps the manager's rooms, `_trigger_event` and the methods of python-engineio's
session class, and of all that nothing is in use here. So the UI's protocol is spoken by a namespace of our own. Streams are shown
as rooms. What is not there is left out of `supportedFeatures`: a client can't be made to join or leave a stream, since it could
not know where the stream began or that it has ended for it.

When it is off nothing of it is in the way of anything. When it is on it shows the instance that it is connected to.
"""

from server.realtime.admin.ui import AdminUI

__all__ = ["AdminUI"]
