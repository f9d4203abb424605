"""Reports of messages, and what moderators make of them.

A report keeps the messages as they were, since they can be edited and deleted. A decision is entered first, together with its entry
in the audit log, and has its effects afterwards; each of them can be had twice without harm, so a sweep in the worker finishes what
a crash left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from handlers.chat.audit import AuditLog, NothingToDo
from handlers.chat.bans import Bans
from handlers.chat.history import History
from handlers.chat.service import Rooms
from models.report import OPEN, RESOLVED, Report
from models.rules.room.state import State
from server.auth.principal import Principal
from server.clock import Clock, derived_id, to_rfc3339
from server.errors import AppError

log = structlog.get_logger(__name__)

_ABANDONED_MS: Final = 15_000
"""What was decided so long ago and has no effects yet has lost its process."""

_BATCH: Final = 100

_MOST_BYTES: Final = 2_000_000
"""Of the texts in one report, all versions together. A single message, edited as often as may be, always fits."""

_DONE_ALREADY: Final = frozenset({"CONFLICT", "NOT_FOUND"})


class Reports:
    """What was reported, and what became of it.

    Args:
        rooms: where it happened. history: what was said. audit, bans: see there. clock: the cluster's clock.
    """

    def __init__(self, rooms: Rooms, history: History, audit: AuditLog, bans: Bans, clock: Clock) -> None:
        self._rooms = rooms
        self._history = history
        self._audit = audit
        self._bans = bans
        self._clock = clock

    async def make(
        self, principal: Principal, room: str, seqs: Sequence[int], reason: str, note: str, report_id: str
    ) -> dict[str, Any]:
        """Report messages of a room that the caller is in.

        Raises:
            AppError: NOT_FOUND for a room, FORBIDDEN; VALIDATION_FAILED for what is no message of the room, or one's own, and when
                all their versions together are too much.
        """
        await self._rooms.require_member(principal, room)
        state = (await self._rooms.state(room)).copy()
        known_as = state.name_of(principal.id)
        snapshot = await self._snapshots(principal, room, state, sorted(set(seqs)))
        report: dict[str, Any] = {
            "_id": report_id,
            "room": room,
            "reporter": principal.id,
            "known_as": known_as,
            "reason": reason,
            "note": note,
            "messages": snapshot,
            "status": OPEN,
            "created_at": self._clock.now(),
        }
        reports = Report.get_pymongo_collection()

        async def insert(session: AsyncClientSession) -> None:
            await reports.insert_one(report, session=session)

        try:
            await self._audit.with_entry(
                derived_id("report", report_id),
                known_as or principal.id,
                "report.made",
                f"report:{report_id}",
                insert,
                {"reason": reason},
            )
        except DuplicateKeyError:  # the same request was run before
            report = await reports.find_one({"_id": report_id}) or report
        return {"id": report_id, "status": report["status"], "created_at": to_rfc3339(report["created_at"])}

    async def show(self, report_id: str) -> dict[str, Any]:
        """A report, whole.

        Raises:
            AppError: NOT_FOUND.
        """
        return report_view(await self._find(report_id))

    async def resolve(self, principal: Principal, report_id: str, action: str, note: str) -> dict[str, Any]:
        """Decide a report, and do what was decided. The same moderator may say the same again.

        Args:
            action: `none`, `remove_messages`, `remove_member` (their authors) or `ban` (them).

        Raises:
            AppError: NOT_FOUND; CONFLICT, it was decided otherwise or by somebody else; FORBIDDEN for whom one can't ban.
        """
        report = await self._find(report_id)
        if report["status"] == OPEN:
            await self._decide(principal, report, action, note)
            report = await self._find(report_id)
        decided = report.get("resolution")
        if decided is None or (decided["action"], decided["by"]) != (action, principal.id):
            raise AppError("CONFLICT", "The report was resolved otherwise")
        if decided.get("pending"):
            await self._carry_out(report)
            report = await self._find(report_id)
        return report_view(report)

    async def sweep(self) -> int:
        """Do what was decided by processes that have died since; how many reports were looked at.

        Raises:
            PyMongoError: try again later.
        """
        before = self._clock.now() - _ABANDONED_MS
        found = Report.get_pymongo_collection().find({"resolution.pending": {"$gt": 0, "$lt": before}})
        reports = await found.limit(_BATCH).to_list()
        for report in reports:
            try:
                await self._carry_out(report)
            except AppError as error:  # the others need not wait for this one
                log.warning("reports.not_carried_out", report=report["_id"], error=str(error))
        return len(reports)

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _find(self, report_id: str) -> dict[str, Any]:
        report: dict[str, Any] | None = await Report.get_pymongo_collection().find_one({"_id": report_id})
        if report is None:
            raise AppError("NOT_FOUND", "No such report")
        return report

    async def _snapshots(
        self, principal: Principal, room: str, state: State, seqs: Sequence[int]
    ) -> list[dict[str, Any]]:
        """Messages as `_snapshot` gives them, if they are not too much for one report."""
        snapshots: list[dict[str, Any]] = []
        size = 0
        for seq in seqs:
            snapshots.append(await self._snapshot(principal, room, state, seq))
            size += sum(len(version["text"].encode()) for version in snapshots[-1]["versions"])
            if size > _MOST_BYTES:
                problem = "were edited so often that they are too much for one report; report fewer at a time"
                raise AppError("VALIDATION_FAILED", errors=[{"loc": ["body", "messages"], "msg": problem}])
        return snapshots

    async def _snapshot(self, principal: Principal, room: str, state: State, seq: int) -> dict[str, Any]:
        """A message with all its versions, people by the names that everybody in the room knows."""
        sent = state.messages.find(seq)
        if sent is None or sent.author == state.number(principal.id):
            problem = "is no message of this room" if sent is None else "is your own message"
            raise AppError("VALIDATION_FAILED", errors=[{"loc": ["body", "messages"], "msg": f"{seq} {problem}"}])
        versions = await self._history.texts(room, seq)
        message = {
            "seq": seq,
            "t": versions[0]["t"],
            "user": state.members[sent.author - 1].name,
            "text": versions[-1]["text"],
            "versions": versions,
        }
        deleted = state.deleted.get(seq)
        return {**message, **({"deleted": deleted} if deleted else {})}

    async def _decide(self, principal: Principal, report: Mapping[str, Any], action: str, note: str) -> None:
        """Enter the decision, unless somebody else is first."""
        now = self._clock.now()
        resolution: dict[str, Any] = {"action": action, "by": principal.id, "note": note, "at": now}
        if action != "none":
            if action == "ban":
                for user in await self._authors(report):
                    await self._bans.require_bannable(principal, user)
            resolution["pending"] = now
        change = {"$set": {"status": RESOLVED, "resolution": resolution}}

        async def update(session: AsyncClientSession) -> None:
            wanted = {"_id": report["_id"], "status": OPEN}
            if not (await Report.get_pymongo_collection().update_one(wanted, change, session=session)).matched_count:
                raise NothingToDo

        act = derived_id("report resolved", report["_id"])
        details = {"resolution": action, "note": note}
        try:
            await self._audit.with_entry(
                act, principal.id, "report.resolved", f"report:{report['_id']}", update, details
            )
        except (NothingToDo, DuplicateKeyError):
            return

    async def _carry_out(self, report: Mapping[str, Any]) -> None:
        """Have a decision's effects; those that are there already stay."""
        resolution = report["resolution"]
        moderator = Principal(resolution["by"], "", "", moderator=True)
        room, key = report["room"], f"report:{report['_id']}"
        if resolution["action"] == "remove_messages":
            for message in report["messages"]:
                await _unless_done(
                    self._rooms.delete(moderator, room, {"seq": message["seq"]}, f"{key}:{message['seq']}")
                )
        elif resolution["action"] == "remove_member":
            state = (await self._rooms.state(room)).copy()
            for user in await self._authors(report):
                name = state.name_of(user)
                await _unless_done(self._rooms.remove(moderator, room, {"user": name}, f"{key}:{name}"))
        elif resolution["action"] == "ban":
            for user in await self._authors(report):
                reason = f"report {report['_id']}"
                await self._bans.put(moderator.id, user, reason, derived_id(key, user))
        await Report.get_pymongo_collection().update_one({"_id": report["_id"]}, {"$unset": {"resolution.pending": ""}})

    async def _authors(self, report: Mapping[str, Any]) -> list[str]:
        """The user ids of those who wrote what was reported."""
        state = await self._rooms.state(report["room"])
        seqs = [message["seq"] for message in report["messages"]]
        numbers = [sent.author for seq in seqs if (sent := state.messages.find(seq)) is not None]
        return [state.members[number - 1].user for number in dict.fromkeys(numbers)]


async def _unless_done(effect: Any) -> None:
    try:
        await effect
    except AppError as error:
        if error.code not in _DONE_ALREADY:
            raise


def report_view(report: Mapping[str, Any]) -> dict[str, Any]:
    """`ReportOut` of the schemas."""
    resolution = report.get("resolution")
    return {
        "id": report["_id"],
        "room": report["room"],
        "reporter": report["known_as"],
        "reason": report["reason"],
        "note": report["note"],
        "messages": report["messages"],
        "status": report["status"],
        "created_at": to_rfc3339(report["created_at"]),
        "resolution": None
        if resolution is None
        else {
            "action": resolution["action"],
            "by": resolution["by"],
            "note": resolution["note"],
            "at": to_rfc3339(resolution["at"]),
            "done": "pending" not in resolution,
        },
    }
