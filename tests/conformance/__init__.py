"""Whether the socket edge speaks Engine.IO v4 and Socket.IO v5 as the protocols' own test suites ask for.

`python -m tests.conformance --port N` serves what the suites expect, on the production classes.
`python -m tests.conformance.run_suites FOLDER` runs the official suites against it; FOLDER is a checkout of socketio/socket.io.
"""
