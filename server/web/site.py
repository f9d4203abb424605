"""The web app: files that a build left in a folder, served from memory.

Everything is read once, at start, so a request looks a name up in a dictionary and no path of a request ever becomes a path of a
file. Each file has its compressed forms beside it (`app.js.br`, `app.js.gz`), made once with all the time there is; what the
browser gets is chosen by `Accept-Encoding`. Names below /assets/ carry a hash of their content and stay good for ever; everything
else is asked for again each time, which an ETag makes cheap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from server.errors import AppError
from server.web.compression import accepted_coding

ROUTE: Final = "/{file}"
"""The route of all files and pages, as it is logged and measured."""

_PATTERN: Final = r"/{file:(?!(?:api|socket\.io|admin|health|metrics)(?:/|$)).*}"
"""Everything but what belongs to the interfaces, where an unknown path is an unknown path with any method."""

_INDEX: Final = "index.html"
_ASSETS: Final = "assets/"
_CODINGS: Final = {"br": ".br", "gzip": ".gz"}
"""By preference, with what the files' names end in."""

_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",  # WebSockets of the same origin included (CSP 3)
        "worker-src 'self'",
        "manifest-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_OTHER_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _File:
    """A file, plain and in each compressed form that there is, with the headers that all of them share."""

    bodies: Mapping[str | None, bytes]
    tag: str
    headers: Mapping[str, str]

    def answer(self, request: web.Request) -> web.Response:
        """The form that the client likes best, or 304 if that is what it has."""
        coding = accepted_coding(request.headers.get("Accept-Encoding", ""), [name for name in self.bodies if name])
        tag = f"{self.tag}-{coding}" if coding else self.tag
        headers = {**self.headers, "ETag": f'"{tag}"'}
        if any(known.value in (tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        if coding:
            headers["Content-Encoding"] = coding
        return web.Response(body=self.bodies[coding], headers=headers)


class Site:
    """The files of a folder and the pages of the app in it.

    Args:
        folder: what the build left; it may be missing, then there is a word on how to build it in place of the app.
    """

    def __init__(self, folder: Path) -> None:
        self._files = _read(folder)

    def routes(self) -> list[web.RouteDef]:
        """For everything that is no interface; they must be added last."""
        return [web.get(_PATTERN, self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        name = request.match_info["file"]
        found = self._files.get(name) or self._page(name, request.headers.get("Accept", ""))
        if found is None:
            raise AppError("NOT_FOUND")
        return found.answer(request)

    def _page(self, name: str, accept: str) -> _File | None:
        """The app, for whoever opens one of its pages: which of them there are is for the app to know."""
        if name.startswith(_ASSETS) or (name and "text/html" not in accept.lower()):
            return None
        if not self._files:
            raise AppError("NOT_FOUND", "The web app is not built here: run `make web`, then start again")
        return self._files[_INDEX]


def _read(folder: Path) -> dict[str, _File]:
    """The files by their names below the folder; none if there is no app in it."""
    if not (folder / _INDEX).is_file():
        return {}
    raw = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    compressed = {name + ending for name in raw for ending in _CODINGS.values()}
    return {name: _file(name, raw) for name in raw if name not in compressed and not name.startswith(".")}


def _file(name: str, raw: Mapping[str, bytes]) -> _File:
    bodies = {None: raw[name]} | {
        coding: raw[name + ending] for coding, ending in _CODINGS.items() if name + ending in raw
    }
    headers = {
        "Content-Type": _TYPES.get(Path(name).suffix, _OTHER_TYPE),
        "Content-Security-Policy": _POLICY,
        "Cache-Control": _FOR_EVER if name.startswith(_ASSETS) else _ASK_AGAIN,
        "Vary": "Accept-Encoding",
    }
    return _File(bodies, hashlib.sha256(raw[name]).hexdigest()[:32], headers)
