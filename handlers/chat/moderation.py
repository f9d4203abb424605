"""What keeps order in rooms: blocks, bans, reports, the filter of contact details, and the audit log of it all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from pymongo.errors import PyMongoError

from handlers.chat.audit import KINDS, AuditLog
from handlers.chat.bans import Bans
from handlers.chat.blocks import Blocks
from handlers.chat.contact_check import ContactCheck
from handlers.chat.history import History
from handlers.chat.moderation_rest import add_audit, add_blocks, add_moderation_routes
from handlers.chat.reports import Reports
from handlers.chat.service import Check, Rooms
from models.audit import AuditEntry
from models.ban import Ban
from models.block import Block
from models.report import Report
from server.streams.followers import Follower

if TYPE_CHECKING:
    from server.context import Context

_PAUSE_S: Final = 5.0

log = structlog.get_logger(__name__)


def add_moderation(context: Context, rooms: Rooms) -> list[Check]:
    """Register documents, routes, checks and background work.

    Returns: the checks that ask who somebody is, not what is said.
    """
    audit = AuditLog(context.clock)
    blocks = Blocks(audit, context.clock, context.redis)
    bans = Bans(audit, context.clock, context.redis)
    reports = Reports(rooms, History(rooms), audit, bans, context.clock)
    rooms.checks += [bans.check, blocks.check]
    rooms.entries += [bans.check_entry, blocks.check_pair]
    settings = context.settings
    if settings.chat_contact_filter:
        own_host = urlsplit(settings.public_url).hostname if settings.public_url else settings.host
        rooms.checks.append(ContactCheck(rooms.relations, {own_host} if own_host else ()).check)
    context.documents.extend([AuditEntry, Ban, Block, Report])
    context.followers.add(Follower("chat.audit", KINDS, audit.follow))
    add_blocks(context.router, blocks)
    add_moderation_routes(context.router, reports, bans)
    add_audit(context.router)

    async def finish_resolutions(_context: Context) -> None:
        while True:
            try:
                await reports.sweep()
            except PyMongoError as error:
                log.warning("moderation.sweep_failed", error=str(error))
            await asyncio.sleep(_PAUSE_S)

    context.tasks["chat.reports"] = finish_resolutions
    return [bans.check, blocks.check]
