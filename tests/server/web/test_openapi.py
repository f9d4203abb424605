"""The OpenAPI document is valid, says what the routes do, and its page needs nobody else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from server.web.fields import Amount, Answer, Body, Moment, Timestamp
from server.web.openapi import describe
from server.web.paging import Listed, PageQuery
from server.web.router import Call, Router
from tests.server.web.conftest import Serve


class Wish(Body):
    amount: Amount
    until: Moment | None = None


class Granted(Answer):
    id: str
    at: Timestamp


async def handler(call: Call) -> Any:
    return {}


def routes() -> Router:
    router = Router()
    router.add(
        "POST",
        "/wishes/{id}/grant",
        handler,
        summary="Grant",
        tags=["wishes"],
        body=Wish,
        answer=Granted,
        status=201,
        errors=("BID_TOO_WEAK",),
        needs_key=True,
    )
    router.add(
        "GET", "/wishes", handler, summary="List", tags=["wishes"], query=PageQuery, answer=Listed[Granted], auth="none"
    )
    router.add("DELETE", "/wishes/{id:[a-z]+}", handler, summary="Drop", tags=["wishes"])
    return router


def test_the_document_is_valid_and_complete() -> None:
    document = describe(routes(), "1.2.3")
    OpenAPIV31SpecValidator(document).validate()
    grant = document["paths"]["/api/v1/wishes/{id}/grant"]["post"]
    assert grant["security"] == [{"bearer": []}]
    assert {"201", "400", "401", "404", "409", "413", "415", "422", "429", "500", "503"} == set(grant["responses"])
    assert "BID_TOO_WEAK" in grant["responses"]["409"]["description"]
    named = {(one["name"], one["in"], one["required"]) for one in grant["parameters"]}
    assert named == {("id", "path", True), ("Idempotency-Key", "header", True)}
    wish = document["components"]["schemas"]["Wish"]
    assert wish["required"] == ["amount"]
    assert wish["properties"]["until"]["anyOf"][0]["format"] == "date-time"
    listing = document["paths"]["/api/v1/wishes"]["get"]
    limit = next(one for one in listing["parameters"] if one["name"] == "limit")
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"], limit["schema"]["default"]) == (1, 100, 20)
    assert "204" in document["paths"]["/api/v1/wishes/{id}"]["delete"]["responses"]


async def test_the_page_is_self_contained(serve: Serve) -> None:
    client = await serve(routes())
    document = await (await client.get("/api/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    page = await client.get("/api/docs")
    text = await page.text()
    assert page.content_type == "text/html"
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "base-uri 'none'", "form-action 'none'"} <= set(policy)
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    links = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert links
    for link in links:
        assert link.startswith("/api/")
    for link in ("/api/docs/docs.js", "/api/docs/docs.css"):
        assert (await client.get(link)).status == 200
        assert "http" not in await (await client.get(link)).text()


def test_contradicting_routes_are_refused() -> None:
    router = routes()
    with pytest.raises(ValueError, match="twice"):
        router.add("GET", "/wishes", handler, summary="", tags=[])
    with pytest.raises(ValueError, match="unknown error codes"):
        router.add("GET", "/a", handler, summary="", tags=[], errors=("NO_SUCH",))
    with pytest.raises(ValueError, match="administrators"):
        router.add("GET", "/a", handler, summary="", tags=[], auth="none", admin=True)
    with pytest.raises(ValueError, match="key"):
        router.add("GET", "/a", handler, summary="", tags=[], needs_key=True)
    with pytest.raises(ValueError, match="slash"):
        router.add("GET", "a", handler, summary="", tags=[])
