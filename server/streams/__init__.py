"""Durable, dense, replayable streams: append, read, tail, fold, follow."""
