"""Rialto and its peers side by side, in one run on one machine: `make bench`.

Every row of the table is a scenario of `loadtest.bench.scenarios`; ours, Node's and python-socketio's servers take turns in it, each
turn with a fresh server process on one core and the load on another. `loadtest.bench.contenders` starts servers,
`loadtest.bench.client` is the load, `loadtest.bench.table` shows what came out.
"""
