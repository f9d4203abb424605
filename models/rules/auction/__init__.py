"""The auction: four formats, one state machine (bidding.md). `rules.AUCTION_RULES` is what `server.streams` runs."""
