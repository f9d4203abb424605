"""Compression of complete answers, and decompression of bodies.

Streams are never compressed, so that each event leaves at once. Bodies are decompressed here and not by aiohttp, which goes on
with the rest of one that was refused for its size: some hundred kilobytes of gzip would hold up everybody for seconds.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from server.errors import AppError

LEAST: Final = 1024
"""Bytes of a body that is not worth compressing."""

_LEVEL: Final = 5
_WINDOWS: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_IN_THREAD: Final = 65_536
_COMPRESSIBLE: Final = ("application/json", "application/problem+json", "application/jsonl", "application/x-ndjson")


async def compress(request: web.Request, response: web.StreamResponse) -> None:
    """Compress the body in place if the client accepts that, it is long enough, and nobody asked otherwise."""
    if (
        not isinstance(response, web.Response)
        or response.prepared
        or "Accept-Encoding" in response.headers.get("Vary", "")
    ):
        return  # sent already, or whoever made it has chosen among its forms
    body = response.body
    if not isinstance(body, bytes | bytearray) or len(body) <= LEAST:
        return
    if not (response.content_type in _COMPRESSIBLE or response.content_type.startswith("text/")):
        return
    response.headers.add("Vary", "Accept-Encoding")
    coding = accepted_coding(request.headers.get("Accept-Encoding", ""), tuple(_WINDOWS))
    if coding is None or "X-No-Compression" in request.headers:
        return
    raw = bytes(body)
    if len(raw) > _IN_THREAD:
        response.body = await asyncio.to_thread(_encode, raw, coding)
    else:
        response.body = _encode(raw, coding)
    response.headers["Content-Encoding"] = coding


def accepted_coding(header: str, offers: Sequence[str]) -> str | None:
    """Whichever of the codings the client weighs most, of equal ones the first; None if it accepts none (RFC 9110 12.5.3)."""
    weights: dict[str, float] = {}
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights[name] = _weight(parameters)
    best, least = None, weights.get("identity", 0.0)
    for coding in offers:
        weight = weights.get(coding, weights.get("*", 0.0))
        if weight > least or (weight == least > 0 and best is None):
            best, least = coding, weight
    return best


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def decompress(raw: bytes, coding: str, limit: int) -> bytes:
    """A body in the clear. `coding` is the header `Content-Encoding`; no more is unpacked than `limit` bytes allow.

    Raises:
        AppError: TOO_LARGE, BAD_REQUEST, or UNSUPPORTED_MEDIA_TYPE for anything but `gzip` and `deflate`.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return raw
    if coding not in _WINDOWS:
        raise AppError("UNSUPPORTED_MEDIA_TYPE", "A body may be compressed with gzip or deflate")
    unpacker = zlib.decompressobj(_WINDOWS[coding])
    try:
        body = unpacker.decompress(raw, limit + 1)
    except zlib.error:
        raise AppError("BAD_REQUEST", "The body cannot be read") from None
    if len(body) > limit:
        raise AppError("TOO_LARGE")
    if not unpacker.eof or unpacker.unused_data:
        raise AppError("BAD_REQUEST", "The body cannot be read")
    return body


def _encode(raw: bytes, coding: str) -> bytes:
    return gzip.compress(raw, _LEVEL, mtime=0) if coding == "gzip" else zlib.compress(raw, _LEVEL)
