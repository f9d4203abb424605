"""What Rialto is measured against: Socket.IO's own server on Node.js, and python-socketio as it comes.

Both speak the same commands and events as `/bidding` as far as a server without a durable store can: they check the same
token, `subscribe` joins a room, `bid` numbers an event, emits it to the room and is acknowledged, `sync_time` is answered.
They keep nothing, decide nothing and validate nothing, so each command costs them less than it costs Rialto.
"""
