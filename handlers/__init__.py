"""The market, one folder per feature. `FEATURES` is its table of contents."""

from __future__ import annotations

FEATURES: tuple[str, ...] = (
    "handlers.auth",
    "handlers.jobs",
    "handlers.bidding",
    "handlers.chat",
    "handlers.notifications",
    "handlers.webhooks",
)
"""Dotted names of the feature packages, in the order in which `setup(context)` is called on them."""
