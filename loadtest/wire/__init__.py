"""What a load-testing client says over the network: WebSocket, Engine.IO, Socket.IO and REST, on gevent and as little else as can be.

The stock python-socketio client was measured first (see `loadtest.wire.line`); nothing here imports Locust, and nothing needs
gevent's monkey patches.
"""
