"""Hypothesis for pure rules: no deadline, since a shared machine is slow at times; sizes that keep the whole run short."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("rules", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rules")
