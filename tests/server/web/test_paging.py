"""Lists by cursor and by page, over a collection that changes meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from server.errors import AppError
from server.web.paging import Order, PageQuery, encode_cursor, list_page

BY_RANK = Order("rank", (("rank", -1), ("_id", 1)), (int, str))


@pytest.fixture
async def things(parts: Any) -> Any:
    """Fifty things, ten of each rank."""
    collection = parts.db["things"]
    await collection.insert_many([{"_id": f"t{number:02}", "rank": number % 5} for number in range(50)])
    return collection


async def pages(things: Any, **query: Any) -> list[str]:
    seen: list[str] = []
    cursor = None
    while True:
        page = await list_page(things, {}, BY_RANK, PageQuery(cursor=cursor, **query), lambda one: one["_id"])
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return seen


async def test_cursors_walk_through_everything_in_order(things: Any) -> None:
    expected = sorted((f"t{number:02}" for number in range(50)), key=lambda one: (-(int(one[1:]) % 5), one))
    for limit in (1, 7, 10, 50, 100):
        assert await pages(things, limit=limit) == expected


async def test_insertions_meanwhile_neither_skip_nor_repeat(things: Any) -> None:
    first = await list_page(things, {}, BY_RANK, PageQuery(limit=20), lambda one: one["_id"])
    await things.insert_one({"_id": "a-new", "rank": 4})
    await things.delete_one({"_id": first["items"][-1]})
    second = await list_page(
        things, {}, BY_RANK, PageQuery(limit=100, cursor=first["next_cursor"]), lambda one: one["_id"]
    )
    assert not set(first["items"]) & set(second["items"])
    assert len(second["items"]) == 30


async def test_pages_have_a_total(things: Any) -> None:
    page = await list_page(things, {"rank": 3}, BY_RANK, PageQuery(limit=4, page=3), lambda one: one["_id"])
    assert page == {"items": ["t43", "t48"], "page": 3, "limit": 4, "total": 10}


@pytest.mark.parametrize(
    "cursor",
    [
        "!!!",
        "AAAA",
        encode_cursor([]),
        encode_cursor({"rank": 1}),  # type: ignore[arg-type]
        encode_cursor(["rank", 1]),
        encode_cursor(["rank", "1", "t01"]),
        encode_cursor(["rank", True, "t01"]),
        encode_cursor(["rank", {"$gt": 0}, "t01"]),
        encode_cursor(["rank", 2**63, "t01"]),
        encode_cursor(["price", 1, "t01"]),
        "RpTAGlSJdu8g51tSViQw3j72JHUNl_G_m2j8QuDf8QCCo2-ckACuVw",
        "é",
    ],
)
async def test_foreign_cursors_are_refused(things: Any, cursor: str) -> None:
    with pytest.raises(AppError) as caught:
        await list_page(things, {}, BY_RANK, PageQuery(cursor=cursor), lambda one: one)
    assert caught.value.code == "VALIDATION_FAILED"


async def test_cursor_and_page_exclude_each_other(things: Any) -> None:
    with pytest.raises(AppError):
        await list_page(things, {}, BY_RANK, PageQuery(cursor="x", page=1), lambda one: one)
