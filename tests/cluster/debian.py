"""Programs that tests want as Debian has them: from PATH, else out of Debian's package, which is unpacked and not installed.

Unpacking changes nothing on the machine, starts no service, and needs no root once apt has its lists. A program that needs dozens
of other packages is installed after all, where the tests are root's and so, one may suppose, the machine is theirs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

_FOLDER: Final = Path(sys.prefix) / "debian"
"""Beside what else the tests have installed for themselves."""


class Unobtainable(Exception):
    """The program is not on PATH, and this is no machine that could fetch it; the message tells a person what to install."""


def program(name: str, package: str) -> Path:
    """The program `name` of Debian's `package`. Skips the test where it can't be had, but fails in continuous integration."""
    return _or_skip(lambda: find(name, package))


def installed_program(name: str, package: str) -> Path:
    """As `program`, of a package that has to be installed whole."""
    return _or_skip(lambda: install(name, package))


def _or_skip(obtain: Callable[[], Path]) -> Path:
    try:
        return obtain()
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


def install(name: str, package: str) -> Path:
    """The program `name`, for which root installs Debian's `package` if it must. Raises Unobtainable."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (found := shutil.which(name)) is not None:
            return Path(found)
        advice = f"{name} is not on PATH (Debian and Ubuntu: apt-get install {package})"
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise Unobtainable(advice)
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", package]
        if not _run(command, _FOLDER):
            _run(["apt-get", "update", "-q"], _FOLDER)
            if not _run(command, _FOLDER):
                raise Unobtainable(f"{advice}; that failed")
        if (found := shutil.which(name)) is None:
            raise Unobtainable(f"Debian's package {package} has no program {name}: install it so that it is on PATH")
        return Path(found)


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
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode == 0
