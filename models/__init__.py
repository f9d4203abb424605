"""Beanie documents (fields and indexes, nothing else) and, under `rules/`, the pure decisions."""
