"""What proxies may keep of the answers to anonymous callers, and what not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from server.web.router import Call, Router
from tests.server.web.conftest import Serve


async def _answer(call: Call) -> object:
    return {"who": call.principal.id if call.principal else None, "filling": "x" * 2000}


def _router() -> Router:
    router = Router()
    router.add("GET", "/pages", _answer, summary="Pages", tags=("pages",), auth="optional", shared=True)
    router.add("GET", "/mine", _answer, summary="Mine", tags=("pages",), auth="optional")
    return router


async def test_only_anonymous_answers_of_shared_routes_may_be_kept(
    serve: Serve, bearer: Callable[..., dict[str, str]]
) -> None:
    client = await serve(_router())
    anonymous = await client.get("/api/v1/pages", headers={"Accept-Encoding": "identity"})
    assert anonymous.headers["Cache-Control"] == "public, max-age=0, s-maxage=1, stale-while-revalidate=1"
    known = await client.get("/api/v1/pages", headers=bearer())
    assert known.headers["Cache-Control"] == "no-store"
    other = await client.get("/api/v1/mine")
    assert other.headers["Cache-Control"] == "no-store"
    assert "Authorization" not in other.headers["Vary"]
    refused = await client.get("/api/v1/pages", headers={"Authorization": "Bearer nonsense"})
    assert (refused.status, refused.headers["Cache-Control"]) == (401, "no-store")


async def test_all_that_it_varies_by_is_on_one_line(serve: Serve) -> None:
    client = await serve(_router())
    answer = await client.get("/api/v1/pages", headers={"Accept-Encoding": "identity"})
    assert answer.headers.getall("Vary") == ["Authorization, Accept-Encoding"]


@pytest.mark.parametrize("fault", [{"method": "POST"}, {"auth": "required"}])
def test_what_cannot_be_shared(fault: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"method": "GET", "auth": "optional", **fault}
    with pytest.raises(ValueError, match="cannot be shared"):
        Router().add(fields["method"], "/pages", _answer, summary="", tags=(), auth=fields["auth"], shared=True)
