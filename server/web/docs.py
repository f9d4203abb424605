"""`/api/openapi.json` and `/api/docs`: the description for programs, and the same for people, without any foreign host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from server.web.headers import STRICT_POLICY
from server.web.openapi import describe
from server.web.router import Route

_PAGES: Final = Path(__file__).parent / "pages"
_POLICY: Final = STRICT_POLICY + "; script-src 'self'; style-src 'self'; connect-src 'self'"


def docs_routes(routes: Iterable[Route], version: str) -> list[web.RouteDef]:
    """The document of these routes and the page that shows it."""
    return [
        web.get("/api/openapi.json", _constant(orjson.dumps(describe(routes, version)), "application/json")),
        web.get("/api/docs", _page("docs.html", "text/html")),
        web.get("/api/docs/docs.css", _page("docs.css", "text/css")),
        web.get("/api/docs/docs.js", _page("docs.js", "text/javascript")),
    ]


def json_document(document: Mapping[str, Any]) -> Any:
    """A handler that serves a document made at start, such as the AsyncAPI description."""
    return _constant(orjson.dumps(document), "application/json")


def _page(name: str, kind: str) -> Any:
    return _constant((_PAGES / name).read_bytes(), kind)


def _constant(body: bytes, kind: str) -> Any:
    async def serve(request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "public, max-age=300"}
        charset = None if kind == "application/json" else "utf-8"
        return web.Response(body=body, content_type=kind, charset=charset, headers=headers)

    return serve
