"""The web app's files: which form of them, for how long, and what is no file."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from prometheus_client import REGISTRY
from yarl import URL

from server.web.router import Router
from tests.server.web.conftest import Serve

Client = TestClient[web.Request, web.Application]

SCRIPT = b"export const market = 1;\n" * 100
FILES: Mapping[str, bytes] = {
    "index.html": b"<!doctype html><title>Rialto</title>",
    "index.html.gz": gzip.compress(b"<!doctype html><title>Rialto</title>"),
    "sw.js": b"self.skipWaiting();",
    "manifest.webmanifest": b'{"name": "Rialto"}',
    "icon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "assets/index-4f9a.js": SCRIPT,
    "assets/index-4f9a.js.br": b"as brotli",
    "assets/index-4f9a.js.gz": gzip.compress(SCRIPT),
    "assets/market-77aa.css": b"main { color: #123 }",
    "assets/serif-01.woff2": b"wOF2",
    ".vite/manifest.json": b"{}",
}
FOR_EVER = "public, max-age=31536000, immutable"
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
async def client(serve: Serve, parts: Any, tmp_path: Path) -> Client:
    """An instance with those files, and one route of the interface."""
    for name, content in FILES.items():
        file = tmp_path / "site" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    parts.settings = parts.settings.model_copy(update={"site_dir": tmp_path / "site", "rate_limits": True})
    router = Router()

    async def show(call: Any) -> Any:
        return {}

    router.add("GET", "/things", show, summary="Show", tags=["t"], auth="none")
    (tmp_path / "secret.txt").write_text("not of the site")
    return await serve(router)


async def ask(client: Client, path: str, method: str = "GET", **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body as it travels."""
    async with client.request(
        method, URL(path, encoded=True), headers={"Accept-Encoding": "identity", **headers}, auto_decompress=False
    ) as answer:
        return answer.status, answer.headers, await answer.read()


@pytest.mark.parametrize(
    ("path", "kind", "cached"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/sw.js", "text/javascript; charset=utf-8", "no-cache"),
        ("/manifest.webmanifest", "application/manifest+json", "no-cache"),
        ("/icon.svg", "image/svg+xml", "no-cache"),
        ("/assets/index-4f9a.js", "text/javascript; charset=utf-8", FOR_EVER),
        ("/assets/market-77aa.css", "text/css; charset=utf-8", FOR_EVER),
        ("/assets/serif-01.woff2", "font/woff2", FOR_EVER),
    ],
)
async def test_files(client: Client, path: str, kind: str, cached: str) -> None:
    status, headers, body = await ask(client, path)
    assert (status, body) == (200, FILES[path[1:] or "index.html"])
    assert (headers["Content-Type"], headers["Cache-Control"]) == (kind, cached)
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Encoding" not in headers
    head = await ask(client, path, "HEAD")
    assert (head[0], head[1]["Content-Length"], head[2]) == (200, str(len(body)), b"")


@pytest.mark.parametrize(
    ("accepted", "form"),
    [
        *(("gzip, deflate, br, zstd", "br"), ("br;q=0.1, gzip", "gzip"), ("gzip, br;q=0", "gzip"), ("*", "br")),
        *(("deflate", None), ("", None), ("identity;q=1, *;q=0.5", None), ("br;q=0.5, gzip;q=0.5", "br")),
    ],
)
async def test_the_form_that_the_client_likes_best(client: Client, accepted: str, form: str | None) -> None:
    status, headers, body = await ask(client, "/assets/index-4f9a.js", **{"Accept-Encoding": accepted})
    plain = "assets/index-4f9a.js"
    assert (status, headers.get("Content-Encoding")) == (200, form)
    assert body == FILES[plain + {"br": ".br", "gzip": ".gz", None: ""}[form]]
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["Content-Length"] == str(len(body))


async def test_what_has_no_compressed_form_travels_plain(client: Client) -> None:
    _, headers, body = await ask(client, "/assets/serif-01.woff2", **{"Accept-Encoding": "br, gzip, deflate"})
    assert ("Content-Encoding" in headers, body) == (False, b"wOF2")
    assert (await ask(client, "/", **{"Accept-Encoding": "br, gzip"}))[1]["Content-Encoding"] == "gzip"


async def test_what_a_client_has_is_not_sent_again(client: Client) -> None:
    tags = set()
    for coding in ("br", "gzip", "identity"):
        path = "/assets/index-4f9a.js"
        _, headers, _ = await ask(client, path, **{"Accept-Encoding": coding})
        tag = headers["ETag"]
        tags.add(tag)
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            status, again, body = await ask(client, path, **{"Accept-Encoding": coding, "If-None-Match": known})
            assert (status, body, again["ETag"]) == (304, b"", tag)
            assert again["Cache-Control"] == FOR_EVER
            assert again["Vary"] == "Accept-Encoding"
        assert (await ask(client, path, **{"Accept-Encoding": coding, "If-None-Match": '"other"'}))[0] == 200
    assert len(tags) == 3


@pytest.mark.parametrize(
    "path", ["/jobs/1", "/jobs/new?x=1", "/sign-in", "/a/b/c", "/apiary", "/healthy", "//", "/%00"]
)
async def test_pages_are_the_app(client: Client, path: str) -> None:
    status, headers, body = await ask(client, path, **PAGE)
    assert (status, body, headers["Cache-Control"]) == (200, FILES["index.html"], "no-cache")


async def test_the_policy_allows_this_origin_alone(client: Client) -> None:
    for path in ("/", "/sw.js", "/assets/index-4f9a.js"):
        policy = (await ask(client, path))[1]["Content-Security-Policy"]
        assert "default-src 'self'; script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy


@pytest.mark.parametrize(
    "path",
    [
        *("/assets/none.js", "/assets/", "/assets/../index.html.br", "/assets/index-4f9a.js.br", "/index.html.gz"),
        *("/.vite/manifest.json", "/vite/manifest.json"),
        *("/api", "/api/", "/api/v1/none", "/socket.io/", "/admin", "/metrics/x", "/health", "/health/none"),
        *("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/assets/%2e%2e/%2e%2e/secret.txt"),
    ],
)
async def test_what_is_not_there(client: Client, path: str) -> None:
    status, headers, body = await ask(client, path, Accept="*/*")
    assert (status, headers["Content-Type"]) == (404, "application/problem+json")
    assert b'"code":"NOT_FOUND"' in body
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/api/v1/none", "/assets/none.js", "/socket.io/", "/admin", "/health/none", "/api"])
async def test_what_is_no_page_whoever_asks(client: Client, path: str) -> None:
    assert (await ask(client, path, **PAGE))[0] == 404


async def test_unknown_paths_of_the_interface_know_no_method(client: Client) -> None:
    assert (await ask(client, "/api/v1/none", "POST"))[0] == 404
    status, headers, _ = await ask(client, "/api/v1/things", "POST")
    assert (status, set(headers["Allow"].split(","))) == (405, {"GET", "HEAD"})
    assert (await ask(client, "/jobs/1", "POST"))[0] == 405


async def test_files_are_neither_counted_against_limits_nor_told_apart_by_metrics(client: Client) -> None:
    labels = {"method": "GET", "route": "/{file}", "status_code": "200"}
    before = REGISTRY.get_sample_value("http_request_duration_seconds_count", labels) or 0.0
    for number in range(1300):  # more than RIALTO_RATE_ANONYMOUS
        assert (await ask(client, f"/jobs/{number}", **PAGE))[0] == 200
    assert REGISTRY.get_sample_value("http_request_duration_seconds_count", labels) == before + 1300
    assert "/jobs/7" not in await (await client.get("/metrics")).text()


async def test_without_an_app_the_way_to_one_is_told(serve: Serve, parts: Any, tmp_path: Path) -> None:
    parts.settings = parts.settings.model_copy(update={"site_dir": tmp_path / "none"})
    client = await serve(Router())
    for path in ("/", "/jobs/1"):
        status, _, body = await ask(client, path, **PAGE)
        assert (status, b"make web" in body) == (404, True)
    assert (await ask(client, "/health/live"))[0] == 200
