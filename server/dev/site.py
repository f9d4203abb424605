"""Builds the web app from its sources, web/app and the client library in web/client, if they have changed since it was built.

`python -m server.dev.site` is `make web`; exit code 1 if that was not possible, with one sentence that says why.
"""

from __future__ import annotations

import fcntl
import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from server.dev import node

WEB: Final = Path(__file__).parents[2] / "web"

_STAMP: Final = ".built"
"""In what was built: of which sources."""

_NO_SOURCES: Final = frozenset({"node_modules", "dist", "test", "coverage", _STAMP})
_WORTH_SAYING: Final = 15
"""Last lines of a program that failed."""


class Unbuilt(Exception):
    """The app could not be built; the message says why."""


def build(web: Path = WEB, say: Callable[[str], None] = print) -> Path:
    """The folder of the built app, as its sources are now. Safe for several processes.

    Args:
        web: the folder of `app` and `client`.
        say: told when there is something to wait for.

    Raises Unbuilt; what was built before is still there then.
    """
    app = web / "app"
    if not (app / "package.json").exists():
        raise Unbuilt(f"there are no sources of it in {app}")
    with (app / "package.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = app / "dist" / _STAMP
        sources = _fingerprint(web)
        if not (stamp.exists() and stamp.read_text() == sources):
            say("Building the web app (only when its sources have changed) ...")
            try:
                node.packages(app)
                node.run([*node.npm(), "run", "build"], app)
            except node.NodeUnavailable as error:
                raise Unbuilt(str(error)) from None
            except node.Failed as error:
                raise Unbuilt("\n".join(str(error).splitlines()[-_WORTH_SAYING:])) from None
            stamp.write_text(sources)
    return app / "dist"


def _fingerprint(web: Path) -> str:
    """Of the names and contents of all that it is built from."""
    digest = hashlib.sha256()
    for file in _sources(web / "app", web / "client"):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(web).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _sources(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        for file in sorted(folder.iterdir()) if folder.exists() else ():
            if file.name in _NO_SOURCES:
                continue
            if file.is_dir():
                yield from _sources(file)
            else:
                yield file


def main() -> int:
    """Build it; returns the exit code."""
    try:
        build()
    except Unbuilt as error:
        before = (WEB / "app" / "dist" / "index.html").exists()
        what = "the one built before is served" if before else "there will be the interfaces only"
        print(f"The web app could not be built, so {what}:\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
