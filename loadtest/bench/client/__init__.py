"""The load: thousands of Socket.IO connections in one process, fast enough that the server is what is measured.

It runs as a process of its own, on a core of its own, and measures its own share of it, so that the table can say where the
client was the limit. See `loadtest.bench.client.link` for how.
"""
