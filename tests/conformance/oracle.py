"""The official JavaScript parsers, asked over a pipe."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from tests.contract import node


class Oracle:
    """The running program."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def packets(self, texts: list[str]) -> list[dict[str, Any] | None]:
        """What each text is as a Socket.IO packet: type, attachments, nsp, id, data; None for none."""
        return self._ask("packet", texts)

    def payloads(self, texts: list[str]) -> list[list[tuple[str, str]] | None]:
        """What each text is as an Engine.IO payload: type and text of its packets, `binary` in base 64; None for none."""
        return self._ask("payload", texts)

    def _ask(self, verb: str, texts: list[str]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps({"verb": verb, "texts": texts}) + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())  # orjson would refuse half a character


@contextmanager
def oracle() -> Iterator[Oracle]:
    """Start it, and end it afterwards."""
    folder = node.packages(node.FOLDER).parent
    command = [*node.node(), "oracle.mjs"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Oracle(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
