"""Waiting with an end: what does not recover must say so."""

from tests.waiting import patiently

__all__ = ["patiently"]
