"""The machine under the market: streams, sockets, HTTP, auth. Knows nothing of jobs or bids."""
