"""Chat rooms as a state machine: who is in them, what was said, what became of it."""
