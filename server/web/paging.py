"""Lists, in the two forms of contract.md: by cursor (`{items, next_cursor}`) and by page (`{items, page, limit, total}`).

A cursor is opaque: URL-safe base64 of the sort values of the last item. It goes on from a place in the order, not from a
number of items, so what is inserted meanwhile is neither skipped nor shown twice, and deep pages cost no more than the first.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import orjson
from pydantic import Field
from pymongo.asynchronous.collection import AsyncCollection

from server.errors import AppError
from server.web.fields import Answer, Query

T = TypeVar("T")

_LONGEST_CURSOR: Final = 1_000
_LAST_PAGE: Final = 10_000


class PageQuery(Query):
    """`limit` with `cursor`, or `limit` with `page`. Without either: the first items, by cursor."""

    limit: int = Field(20, ge=1, le=100, description="items at most")
    cursor: str | None = Field(None, max_length=_LONGEST_CURSOR, description="`next_cursor` of the answer before")
    page: int | None = Field(None, ge=1, le=_LAST_PAGE, description="number of the page, from 1; not with `cursor`")


class Listed(Answer, Generic[T]):
    """Items, and either `next_cursor` (null after the last) or `page`, `limit` and `total`."""

    items: list[T]
    next_cursor: str | None = Field(None, description="in the cursor form; null after the last item")
    page: int | None = Field(None, description="in the page form")
    limit: int | None = Field(None, description="in the page form")
    total: int | None = Field(None, description="in the page form: items on all pages")


@dataclass(frozen=True, slots=True)
class Order:
    """A total order: fields with their direction (1 or -1), the last one unique. An index must have the same fields.

    Attributes:
        name: goes into cursors, so that one cannot be used with another order.
        keys: `(field, direction)`; fields may be dotted, and every document has them.
        kinds: the type of each field's values, to check those of a cursor.
    """

    name: str
    keys: tuple[tuple[str, int], ...]
    kinds: tuple[type, ...]

    def encode(self, document: Mapping[str, Any]) -> str:
        """The cursor that goes on after this document."""
        values = [_dig(document, field) for field, _ in self.keys]
        return encode_cursor([self.name, *values])

    def after(self, cursor: str) -> dict[str, Any]:
        """The MongoDB filter for what comes after a cursor.

        Raises:
            AppError: VALIDATION_FAILED, the cursor is not one of this order's.
        """
        name, *values = decode_cursor(cursor)
        if name != self.name or [type(value) for value in values] != list(self.kinds):
            raise bad_cursor()
        if any(isinstance(value, int) and value.bit_length() > 63 for value in values):
            raise bad_cursor()
        # Not an `$or` of the ways to be later, which MongoDB might answer with several scans and a sort, but a bound on the first
        # key, which narrows the scan of the order's own index, and a filter for its equals that came before.
        (first, direction), last = self.keys[0], len(self.keys) - 1
        if last == 0:
            return {first: {"$gt" if direction > 0 else "$lt": values[0]}}
        earlier = []
        for place, (field, way) in enumerate(self.keys):
            if place == 0:
                continue
            same = {key: value for (key, _), value in zip(self.keys[:place], values, strict=False)}
            before = ("$lte" if way > 0 else "$gte") if place == last else ("$lt" if way > 0 else "$gt")
            earlier.append({**same, field: {before: values[place]}})
        return {first: {"$gte" if direction > 0 else "$lte": values[0]}, "$nor": earlier}


def encode_cursor(values: Sequence[Any]) -> str:
    """JSON values as one opaque, URL-safe word."""
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """The values of a cursor, at least one; their types are for the caller to check.

    Raises:
        AppError: VALIDATION_FAILED.
    """
    try:
        values = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise bad_cursor() from None
    if not isinstance(values, list) or not values:
        raise bad_cursor()
    return values


def bad_cursor() -> AppError:
    """The failure for a cursor that nobody gave out."""
    return AppError("VALIDATION_FAILED", errors=[{"loc": ["query", "cursor"], "msg": "is not a cursor of this list"}])


async def list_page(
    collection: AsyncCollection[dict[str, Any]],
    conditions: Mapping[str, Any],
    order: Order,
    query: PageQuery,
    render: Callable[[dict[str, Any]], Any],
    projection: Mapping[str, Any] | None = None,
    *,
    ranking: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """One page of a collection, in the form that the query asks for.

    Args:
        conditions: MongoDB filter. order: with its index. render: from a document to an item of the answer.
        projection: the fields to read; those of the order must be among them.
        ranking: aggregation stages that select by the conditions and compute what the order sorts by, if it is computed.

    Raises:
        AppError: VALIDATION_FAILED for a bad cursor, or for cursor and page together.
    """
    source = _Source(collection, conditions, order, projection, ranking)
    if query.page is not None:
        if query.cursor is not None:
            raise AppError("VALIDATION_FAILED", errors=[{"loc": ["query", "page"], "msg": "not together with cursor"}])
        documents = await source.read({}, (query.page - 1) * query.limit, query.limit)
        total = await collection.count_documents(conditions)
        items = [render(document) for document in documents]
        return {"items": items, "page": query.page, "limit": query.limit, "total": total}
    after = order.after(query.cursor) if query.cursor is not None else {}
    documents = await source.read(after, 0, query.limit + 1)
    more = len(documents) > query.limit
    documents = documents[: query.limit]
    return {
        "items": [render(document) for document in documents],
        "next_cursor": order.encode(documents[-1]) if more else None,
    }


@dataclass(frozen=True, slots=True)
class _Source:
    collection: AsyncCollection[dict[str, Any]]
    conditions: Mapping[str, Any]
    order: Order
    projection: Mapping[str, Any] | None
    ranking: Sequence[Mapping[str, Any]]

    async def read(self, after: Mapping[str, Any], skip: int, limit: int) -> list[dict[str, Any]]:
        if not self.ranking:
            conditions = {"$and": [self.conditions, after]} if after else self.conditions
            found = self.collection.find(conditions, self.projection).sort(list(self.order.keys))
            return await found.skip(skip).limit(limit).to_list()
        stages: list[Mapping[str, Any]] = list(self.ranking)
        if after:
            stages.append({"$match": after})
        stages += [{"$sort": dict(self.order.keys)}, {"$skip": skip}, {"$limit": limit}]
        if self.projection:
            stages.append({"$project": self.projection})
        return await (await self.collection.aggregate(stages)).to_list()


def _dig(document: Mapping[str, Any], field: str) -> Any:
    value: Any = document
    for part in field.split("."):
        value = value[part]
    return value
