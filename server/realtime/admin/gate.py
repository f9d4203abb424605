"""Who may use the Admin UI: admins with their token, and whoever knows the configured name and password, as the UI's page asks for."""

from __future__ import annotations

from hashlib import blake2s
from hmac import compare_digest
from typing import Any, Final

from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError

from server.auth.passwords import Passwords
from server.auth.principal import Principal
from server.auth.tokens import Tokens
from server.clock import Clock
from server.errors import AppError
from server.limits.limits import Limits
from server.realtime.namespace import TurnedAway
from server.settings import Settings

SESSION_S: Final = 43_200
"""How long the page may come back without asking for the password again."""

_LONGEST_PASSWORD: Final = 1_024


class AdminGate:
    """Checks what a client of the Admin UI connects with: `{token}`, `{username, password}` or `{sessionId}`.

    A session id is a seal over its end, so that it holds on every instance; it ends with the password, too.

    Raises:
        ValueError: the password's hash isn't one of Argon2.
    """

    def __init__(self, settings: Settings, tokens: Tokens, clock: Clock, limits: Limits) -> None:
        self._tokens = tokens
        self._clock = clock
        self._limits = limits
        self._key = tokens.derived("admin ui")
        self._username = settings.admin_ui_username
        self._hash = settings.admin_ui_password_hash.get_secret_value()
        self._passwords: Passwords | None = None
        if self._username and self._hash:
            try:
                extract_parameters(self._hash)
            except InvalidHashError:
                raise ValueError("RIALTO_ADMIN_UI_PASSWORD_HASH must be an Argon2 hash, $argon2id$...") from None
            self._passwords = Passwords(settings.argon2_memory_kib, settings.argon2_time, threads=1)

    async def admit(self, auth: dict[str, Any], address: str) -> Principal | None:
        """Who it is; None for whoever knows the password.

        Raises:
            AppError: UNAUTHENTICATED for a bad token, FORBIDDEN for one that is no admin's, RATE_LIMITED.
            TurnedAway: neither a session nor the right password. The page asks for it then.
        """
        if (token := auth.get("token")) is not None:
            principal = await self._tokens.authenticate(token)
            if not principal.admin:
                raise AppError("FORBIDDEN")
            return principal
        if self.knows(auth.get("sessionId")):
            return None
        username, password = auth.get("username"), auth.get("password")
        if self._passwords is not None and isinstance(username, str) and isinstance(password, str):
            await self._limits.guess(address)
            known = self._hash if compare_digest(username.encode(), self._username.encode()) else None
            if len(password) <= _LONGEST_PASSWORD and await self._passwords.verify(known, password):
                return None
        raise TurnedAway("invalid credentials")

    def session_id(self) -> str:
        """What the page may come back with."""
        end_s = self._clock.now() // 1000 + SESSION_S
        return f"{end_s:x}.{self._seal(end_s)}"

    def knows(self, session_id: Any) -> bool:
        """Whether a session id was given out here or on another instance, and has not ended."""
        if self._passwords is None or not isinstance(session_id, str) or not session_id.isascii():
            return False
        end, _, seal = session_id[:128].partition(".")
        try:
            end_s = int(end, 16)
        except ValueError:
            return False
        return compare_digest(seal, self._seal(end_s)) and end_s > self._clock.now() / 1000

    def close(self) -> None:
        """End what verifies passwords."""
        if self._passwords is not None:
            self._passwords.close()

    def _seal(self, end_s: int) -> str:
        account = f"{end_s:x} {self._username} {self._hash}".encode()
        return blake2s(account, key=self._key, person=b"admin").hexdigest()
