"""The fuzzers' properties with as many inputs as a test may take; `python -m tests.conformance.fuzz` takes any number."""

from __future__ import annotations

import pytest

from tests.conformance.fuzz import PROPERTIES

INPUTS = {"packets": 6_000, "payloads": 3_000, "frames": 400, "connections": 150}


@pytest.mark.parametrize("name", PROPERTIES)
def test_no_counterexample(name: str) -> None:
    PROPERTIES[name](INPUTS[name])
