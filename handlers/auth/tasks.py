"""The worker's part of accounts: sending mail from the durable queue."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import structlog
from pymongo import ReturnDocument
from pymongo.errors import PyMongoError

from models.mail import Mail
from server.clock import Clock, to_datetime

if TYPE_CHECKING:
    from server.context import Context

MOST_ATTEMPTS: Final = 10

_LEASE_MS: Final = 120_000
_IDLE_S: Final = 1.0
_TIMEOUT_S: Final = 30.0
_FIRST_BACKOFF_MS: Final = 15_000
_LONGEST_BACKOFF_MS: Final = 3_600_000

log = structlog.get_logger(__name__)


async def run(context: Context) -> None:
    """Send mail until cancelled; any number of workers may do so at once."""
    settings = context.settings
    mailer = Mailer(context.clock, settings.smtp_url, settings.mail_from, settings.data_dir / "mail")
    while True:
        try:
            sent = await mailer.send_next()
        except PyMongoError as error:
            log.warning("mail.queue_unavailable", error=str(error))
            sent = False
        if not sent:
            await asyncio.sleep(_IDLE_S)


class Mailer:
    """Takes mails from the queue and delivers them, each at least once.

    Args:
        clock: the cluster's clock.
        smtp_url: `smtp://user:password@host:port` (STARTTLS where offered) or `smtps://...`; empty: files instead.
        sender: the From line.
        spool: folder of `*.eml` files.
    """

    def __init__(self, clock: Clock, smtp_url: str, sender: str, spool: Path) -> None:
        self._clock = clock
        self._smtp_url = smtp_url
        self._sender = sender
        self._spool = spool

    async def send_next(self) -> bool:
        """Try the mail that is due first; False if none is."""
        mails = Mail.get_pymongo_collection()
        now = self._clock.now()
        # Moving `next_at` is the lease: if this process dies, another one tries again after it.
        claimed = await mails.find_one_and_update(
            {"state": "queued", "next_at": {"$lte": now}},
            {"$set": {"next_at": now + _LEASE_MS}, "$inc": {"attempts": 1}},
            sort=[("next_at", 1)],
            return_document=ReturnDocument.AFTER,
        )
        if claimed is None:
            return False
        mail = Mail.model_validate(claimed)
        change: dict[str, Any]
        try:
            await asyncio.to_thread(self._deliver, mail)
        except (smtplib.SMTPException, OSError) as error:
            given_up = mail.attempts >= MOST_ATTEMPTS
            log.warning("mail.failed", mail=mail.id, attempts=mail.attempts, given_up=given_up, error=str(error)[:300])
            wait = min(_FIRST_BACKOFF_MS * 2 ** (mail.attempts - 1), _LONGEST_BACKOFF_MS)
            change = {"state": "failed"} if given_up else {"next_at": self._clock.now() + wait}
        else:
            change = {"state": "sent", "text": ""}
        await mails.update_one({"_id": mail.id, "state": "queued"}, {"$set": change})
        return True

    def _deliver(self, mail: Mail) -> None:
        message = self._message(mail)
        if not self._smtp_url:
            self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self._spool / f"{mail.created_at}-{mail.id}.eml").write_bytes(message.as_bytes())
            return
        address = urlsplit(self._smtp_url)
        tls = ssl.create_default_context()
        host, secure = address.hostname or "localhost", address.scheme == "smtps"
        connection = (
            smtplib.SMTP_SSL(host, address.port or 465, timeout=_TIMEOUT_S, context=tls)
            if secure
            else smtplib.SMTP(host, address.port or 587, timeout=_TIMEOUT_S)
        )
        with connection as smtp:
            smtp.ehlo()
            if not secure and smtp.has_extn("starttls"):
                smtp.starttls(context=tls)
                smtp.ehlo()
            if address.username:
                smtp.login(unquote(address.username), unquote(address.password or ""))
            smtp.send_message(message)

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(to_datetime(mail.created_at))
        # The same id at every attempt, so that a mail delivered twice can be recognised.
        message["Message-ID"] = f"<{mail.id}@rialto.invalid>"
        message.set_content(mail.text)
        return message
