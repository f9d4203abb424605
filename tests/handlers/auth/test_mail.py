"""Confirmation of addresses, and the durable queue of mail."""

from __future__ import annotations

import asyncio
import email
import re
import socket
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from handlers.auth.tasks import MOST_ATTEMPTS, Mailer
from models.mail import Mail
from models.user import User
from tests.handlers.auth.conftest import Instance


def mailer(web: Instance, smtp_url: str = "") -> Mailer:
    return Mailer(web.context.clock, smtp_url, "Rialto <no-reply@example.com>", web.context.settings.data_dir / "mail")


async def spooled(folder: Path) -> list[Message]:
    def read() -> list[Message]:
        return [email.message_from_bytes(one.read_bytes()) for one in sorted(folder.glob("*.eml"))]

    return await asyncio.to_thread(read)


def token_in(message: Message) -> str:
    text = message.get_payload(decode=True)
    assert isinstance(text, bytes)
    found = re.search(r"verify-email\?token=(\S+)", text.decode())
    assert found
    return found[1]


async def test_the_link_in_the_mail_confirms_the_address(web: Instance, ann: Any) -> None:
    assert await mailer(web).send_next() is True
    assert await mailer(web).send_next() is False
    (message,) = await spooled(web.context.settings.data_dir / "mail")
    assert message["To"] == "ann@example.com"
    token = token_in(message)
    mail = await Mail.find_one({"user": ann["user"]["id"]})
    assert mail is not None
    assert (mail.state, mail.text) == ("sent", "")
    for _ in range(2):
        assert await web.call("POST", "/auth/verify-email", json={"token": token}) == (200, {"email_verified": True})
    assert (await web.call("GET", f"/auth/verify-email?token={token}"))[0] == 200
    _, own = await web.call("GET", "/users/me", ann["access_token"])
    assert own["email_verified"] is True


async def test_other_tokens_confirm_nothing(web: Instance, ann: Any) -> None:
    await mailer(web).send_next()
    (message,) = await spooled(web.context.settings.data_dir / "mail")
    token = token_in(message)
    for wrong in (ann["access_token"], ann["refresh_token"], token[:-3] + "abc", "x", "\u0000"):
        status, answer = await web.call("POST", "/auth/verify-email", json={"token": wrong})
        assert (status, answer["code"]) == (422, "VALIDATION_FAILED")
    assert (await web.call("GET", "/users/me", token))[0] == 401
    await User.get_pymongo_collection().update_one({}, {"$set": {"email": "moved@example.com"}})
    assert (await web.call("POST", "/auth/verify-email", json={"token": token}))[0] == 422


async def test_resending_is_limited(web: Instance, ann: Any) -> None:
    status, answer = await web.call("POST", "/auth/resend-verification", ann["access_token"])
    assert (status, answer["code"]) == (429, "RATE_LIMITED")
    assert 0 < answer["details"]["retry_after_ms"] <= 60_000
    await Mail.get_pymongo_collection().update_many({}, {"$inc": {"created_at": -61_000}})
    assert (await web.call("POST", "/auth/resend-verification", ann["access_token"]))[0] == 204
    assert await Mail.find_all().count() == 2
    await User.get_pymongo_collection().update_many({}, {"$set": {"email_verified": True}})
    assert (await web.call("POST", "/auth/resend-verification", ann["access_token"]))[0] == 204
    assert await Mail.find_all().count() == 2


class SmtpServer:
    """As much of an SMTP server as smtplib needs; `refuse` makes it answer every recipient with 451."""

    def __init__(self, refuse: bool = False) -> None:
        self.received: list[str] = []
        self._refuse = refuse
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> SmtpServer:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                self.received.append((await reader.readuntil(b"\r\n.\r\n")).decode())
            if word == b"RCPT" and self._refuse:
                writer.write(b"451 later\r\n")
            else:
                writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
            if word == b"QUIT":
                break
        writer.close()


async def test_mail_goes_out_by_smtp(web: Instance, ann: Any) -> None:
    async with SmtpServer() as smtp:
        assert await mailer(web, f"smtp://127.0.0.1:{smtp.port}").send_next()
        assert "To: ann@example.com" in smtp.received[0]
        assert "verify-email?token=" in smtp.received[0].replace("=\r\n", "").replace("=3D", "=")


@pytest.mark.parametrize("down", [True, False])
async def test_a_failed_mail_is_tried_again_later_and_given_up_in_the_end(web: Instance, ann: Any, down: bool) -> None:
    async with SmtpServer(refuse=True) as smtp:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1] if down else smtp.port
            sender = mailer(web, f"smtp://127.0.0.1:{port}")
            assert await sender.send_next() is True
            assert await sender.send_next() is False  # not before its time
            mails = Mail.get_pymongo_collection()
            for _ in range(MOST_ATTEMPTS - 1):
                await mails.update_many({}, {"$set": {"next_at": 0}})
                assert await sender.send_next() is True
            mail = await Mail.find_one({})
            assert mail is not None
            assert (mail.state, mail.attempts) == ("failed", MOST_ATTEMPTS)
            await mails.update_many({}, {"$set": {"next_at": 0}})
            assert await sender.send_next() is False


async def test_two_workers_share_the_queue(web: Instance) -> None:
    for name in ("ann", "bob", "cat", "dan"):
        await web.register(f"{name}@example.com")
    await asyncio.gather(*(mailer(web).send_next() for _ in range(4)))
    messages = await spooled(web.context.settings.data_dir / "mail")
    assert sorted(message["To"].partition("@")[0] for message in messages) == ["ann", "bob", "cat", "dan"]
