"""Clients that are hostile or broken, against real processes."""
