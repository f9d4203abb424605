"""Accounts: register, log in, stay logged in, log out everywhere, profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.auth.rest import add_routes
from handlers.auth.service import Accounts
from handlers.auth.sessions import Sessions
from handlers.auth.tasks import run as send_mail
from models.mail import Mail
from models.session import Session
from models.user import User
from server.auth.links import Links
from server.auth.passwords import Passwords
from server.auth.refresh import RefreshTokens

if TYPE_CHECKING:
    from server.context import Context


def setup(context: Context) -> None:
    """Register the documents and routes of accounts."""
    settings = context.settings
    secret = settings.token_secret.get_secret_value()
    sessions = Sessions(
        context.clock, context.tokens, RefreshTokens(secret), context.revocations, settings.refresh_token_s
    )
    public_url = settings.public_url.rstrip("/") or f"http://{settings.host}:{settings.port}"
    accounts = Accounts(
        context.clock,
        Passwords(settings.argon2_memory_kib, settings.argon2_time),
        sessions,
        Links(secret, context.clock),
        public_url,
    )
    context.documents.extend([User, Session, Mail])
    add_routes(context.router, accounts)
    context.tasks["auth.mail"] = send_mail
