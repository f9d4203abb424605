"""Programs that tests want as Debian has them: from PATH, else out of Debian's package, which is unpacked and not installed.

Unpacking changes nothing on the machine, starts no service, and needs no root once apt has its lists.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

_FOLDER: Final = Path(sys.prefix) / "debian"
"""Beside what else the tests have installed for themselves."""


class Unobtainable(Exception):
    """The program is not on PATH, and this is no machine that could fetch it; the message tells a person what to install."""


def program(name: str, package: str) -> Path:
    """The program `name` of Debian's `package`. Skips the test where it can't be had, but fails in continuous integration."""
    try:
        return find(name, package)
    except Unobtainable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


def find(name: str, package: str) -> Path:
    """The program `name` of Debian's `package`. Raises Unobtainable."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is not None:
        return Path(found)
    folder = _FOLDER / package
    unpacked = [folder / "usr" / place / name for place in ("sbin", "bin")]
    for candidate in unpacked:
        if candidate.exists():
            return candidate
    _unpack(package, folder, name)
    for candidate in unpacked:
        if candidate.exists():
            return candidate
    raise Unobtainable(f"Debian's package {package} has no program {name}: install it so that it is on PATH")


def _unpack(package: str, folder: Path, name: str) -> None:
    """Download a package and unpack it to `folder`, once, also when several test processes want it."""
    advice = f"{name} is not on PATH (Debian and Ubuntu: apt-get install {package})"
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Unobtainable(advice)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return
        fresh = folder.with_name(f"{package}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        if not _download(package, fresh):
            _run(["apt-get", "update", "-q"], fresh)  # there may be no lists yet, or old ones
            if not _download(package, fresh):
                raise Unobtainable(f"{advice}; apt-get download {package} failed")
        (archive,) = fresh.glob("*.deb")
        if not _run(["dpkg-deb", "--extract", str(archive), "."], fresh):
            raise Unobtainable(f"{advice}; {archive.name} cannot be unpacked")
        archive.unlink()
        fresh.rename(folder)


def _download(package: str, folder: Path) -> bool:
    return _run(["apt-get", "download", "-q", package], folder)


def _run(command: list[str], folder: Path) -> bool:
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
