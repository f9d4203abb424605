"""The fuzzers' properties with as many inputs as a test may take; `python -m tests.conformance.fuzz` takes any number."""

from __future__ import annotations

import pytest

from tests.conformance.fuzz import PROPERTIES

INPUTS = {"packets": 10_000, "payloads": 10_000, "frames": 4_000, "connections": 300}


@pytest.mark.parametrize("name", PROPERTIES)
def test_no_counterexample(name: str) -> None:
    PROPERTIES[name](INPUTS[name])
