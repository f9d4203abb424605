"""Blocks, reports, bans and the audit log over HTTP: parse, authorise, call the service, render."""

from __future__ import annotations

from typing import Any, Final

from handlers.chat.bans import Bans, ban_view
from handlers.chat.blocks import Blocks, block_view
from handlers.chat.moderation_schemas import (
    AuditOut,
    AuditQuery,
    BanBody,
    BanOut,
    BlockBody,
    BlockOut,
    ReportBody,
    ReportMade,
    ReportOut,
    ReportQuery,
    ResolveBody,
)
from handlers.chat.reports import Reports, report_view
from models.audit import AuditEntry
from models.ban import Ban
from models.block import Block
from models.report import Report
from models.user import User
from server.auth.principal import Principal
from server.clock import to_rfc3339
from server.errors import AppError
from server.web.paging import Listed, Order, PageQuery, list_page
from server.web.router import Call, Router

_BLOCKS: Final = ("blocks",)
_MODERATION: Final = ("moderation",)
_NEWEST: Final = Order("created", (("created_at", -1), ("_id", 1)), (int, str))
_LATEST: Final = Order("t", (("t", -1), ("_id", 1)), (int, str))


def add_blocks(router: Router, blocks: Blocks) -> None:
    """Add the routes of blocks."""
    rest = _BlockRoutes(blocks)
    router.add(
        "POST",
        "/blocks",
        rest.add,
        summary="Block a user",
        description="Neither sends the other direct messages, and the caller's auctions take no bids of the blocked. Whoever is "
        "blocked already stays so.",
        tags=_BLOCKS,
        body=BlockBody,
        answer=BlockOut,
        status=201,
        errors=("NOT_FOUND",),
    )
    router.add(
        "GET",
        "/blocks",
        rest.list,
        summary="Whom one has blocked",
        tags=_BLOCKS,
        query=PageQuery,
        answer=Listed[BlockOut],
    )
    router.add("DELETE", "/blocks/{user}", rest.remove, summary="Block a user no more", tags=_BLOCKS)


class _BlockRoutes:
    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks

    async def add(self, call: Call) -> Any:
        return await self._blocks.add(call.user, call.body.user, call.entity_id("block"))

    async def remove(self, call: Call) -> None:
        await self._blocks.remove(call.user, call.path["user"], call.entity_id("block"))

    async def list(self, call: Call) -> Any:
        conditions = {"blocker": call.user.id}
        page = await list_page(Block.get_pymongo_collection(), conditions, _NEWEST, call.query, dict)
        wanted = {"_id": {"$in": [block["blocked"] for block in page["items"]]}}
        found = User.get_pymongo_collection().find(wanted, {"name": 1})
        names = {user["_id"]: user.get("name") async for user in found}
        return {**page, "items": [block_view(block, names) for block in page["items"]]}


def add_moderation_routes(router: Router, reports: Reports, bans: Bans) -> None:
    """Add the routes of reports and bans."""
    rest = _ModerationRoutes(reports, bans)
    router.add(
        "POST",
        "/rooms/{id}/reports",
        rest.report,
        summary="Report messages of a room to the moderators",
        description="By members. The messages are kept as they are now, with all their versions.",
        tags=("rooms",),
        body=ReportBody,
        answer=ReportMade,
        status=201,
        errors=("NOT_FOUND", "FORBIDDEN", "UNAVAILABLE"),
    )
    for path, handler, query, answer, summary in (
        ("/moderation/reports", rest.reports, ReportQuery, Listed[ReportOut], "Reports, the newest first"),
        ("/moderation/reports/{id}", rest.show, None, ReportOut, "A report"),
        ("/moderation/bans", rest.bans, PageQuery, Listed[BanOut], "Who is banned, the newest first"),
    ):
        errors = ("FORBIDDEN",) if query else ("FORBIDDEN", "NOT_FOUND")
        router.add("GET", path, handler, summary=summary, tags=_MODERATION, query=query, answer=answer, errors=errors)
    router.add(
        "POST",
        "/moderation/reports/{id}/resolve",
        rest.resolve,
        summary="Decide a report, and do what was decided",
        tags=_MODERATION,
        body=ResolveBody,
        answer=ReportOut,
        errors=("FORBIDDEN", "NOT_FOUND", "CONFLICT", "UNAVAILABLE"),
    )
    router.add(
        "POST",
        "/moderation/bans",
        rest.ban,
        summary="Ban a user from saying anything and from entering rooms",
        tags=_MODERATION,
        body=BanBody,
        answer=BanOut,
        status=201,
        errors=("FORBIDDEN", "NOT_FOUND"),
    )
    router.add(
        "DELETE",
        "/moderation/bans/{user}",
        rest.lift,
        summary="End a ban",
        tags=_MODERATION,
        errors=("FORBIDDEN",),
    )


class _ModerationRoutes:
    def __init__(self, reports: Reports, bans: Bans) -> None:
        self._reports = reports
        self._bans = bans

    async def report(self, call: Call) -> Any:
        body: ReportBody = call.body
        report = call.entity_id("report")
        return await self._reports.make(call.user, call.path["id"], body.messages, body.reason, body.note, report)

    async def reports(self, call: Call) -> Any:
        _require_moderator(call)
        conditions = {} if call.query.status is None else {"status": call.query.status}
        reports = Report.get_pymongo_collection()
        return await list_page(reports, conditions, _NEWEST, call.query, report_view, {"messages.versions": 0})

    async def show(self, call: Call) -> Any:
        _require_moderator(call)
        return await self._reports.show(call.path["id"])

    async def resolve(self, call: Call) -> Any:
        moderator = _require_moderator(call)
        return await self._reports.resolve(moderator, call.path["id"], call.body.action, call.body.note)

    async def bans(self, call: Call) -> Any:
        _require_moderator(call)
        return await list_page(Ban.get_pymongo_collection(), {}, _NEWEST, call.query, ban_view)

    async def ban(self, call: Call) -> Any:
        moderator = _require_moderator(call)
        return await self._bans.add(moderator, call.body.user, call.body.reason, call.entity_id("ban"))

    async def lift(self, call: Call) -> None:
        await self._bans.lift(_require_moderator(call), call.path["user"], call.entity_id("ban"))


def _require_moderator(call: Call) -> Principal:
    """The caller, if it keeps order.

    Raises:
        AppError: FORBIDDEN.
    """
    if not call.user.may_moderate:
        raise AppError("FORBIDDEN", "Only moderators may do this")
    return call.user


def add_audit(router: Router) -> None:
    """Add the route of the audit log."""
    router.add(
        "GET",
        "/audit",
        _list_audit,
        summary="Who did what to whom, the newest first",
        tags=_MODERATION,
        query=AuditQuery,
        answer=Listed[AuditOut],
        admin=True,
    )


async def _list_audit(call: Call) -> Any:
    query: AuditQuery = call.query
    conditions = {name: value for name in ("actor", "action", "subject") if (value := getattr(query, name)) is not None}
    return await list_page(AuditEntry.get_pymongo_collection(), conditions, _LATEST, query, _audit_view)


def _audit_view(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": entry["_id"],
        "t": to_rfc3339(entry["t"]),
        "actor": entry["actor"],
        "action": entry["action"],
        "subject": entry["subject"],
        "details": entry.get("details", {}),
    }
