"""Free ports on loopback, remembered between runs so that addresses stay the same."""

from __future__ import annotations

import socket
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could bind `host`:`port` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_free(host: str = LOOPBACK) -> int:
    """A port that the system found free a moment ago; another process may still be quicker."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def next_free(wanted: int, host: str = LOOPBACK, avoid: Collection[int] = ()) -> int:
    """`wanted` if it is free, else the next higher free port; any free one for 0 or when the range is used up."""
    if wanted:
        for port in range(wanted, min(wanted + 100, 65536)):
            if port not in avoid and is_free(port, host):
                return port
    while (port := any_free(host)) in avoid:
        pass
    return port


def remembered(note: Path) -> int:
    """The port that `note` holds if it is free, else any free one, which `note` holds afterwards."""
    with suppress(OSError, ValueError):
        port = int(note.read_text())
        if 0 < port < 65536 and is_free(port):
            return port
    return renewed(note)


def renewed(note: Path) -> int:
    """Any free port, which `note` holds afterwards."""
    port = any_free()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{port}\n")
    return port
