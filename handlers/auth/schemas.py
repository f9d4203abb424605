"""Accounts: commands in, views out."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, StringConstraints

from models.place import Location
from server.web.fields import Amount, Answer, Body, Currency, LocationIn, Printable, Timestamp, absent, one_line

LEAST_PASSWORD: Final = 10
LONGEST_PASSWORD: Final = 256


def normal_email(text: str) -> str:
    """The one form of an address: lower case, domain as written in mail headers.

    Raises:
        ValueError: it is not an address.
    """
    if len(text) > 254:
        raise ValueError("is not an e-mail address")
    try:
        # Reserved domains are let through: nobody is harmed by mail that cannot be delivered.
        found = validate_email(
            text.strip(), check_deliverability=False, globally_deliverable=False, allow_smtputf8=False
        )
    except EmailNotValidError:
        raise ValueError("is not an e-mail address") from None
    if "." not in found.ascii_domain:
        raise ValueError("is not an e-mail address")
    return f"{found.local_part}@{found.ascii_domain}".lower()


Email = Annotated[str, AfterValidator(normal_email)]
Password = Annotated[
    str, Field(min_length=LEAST_PASSWORD, max_length=LONGEST_PASSWORD, json_schema_extra={"format": "password"})
]
Role = Literal["client", "freelancer", "both"]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(one_line)]
Skill = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=50), AfterValidator(one_line)
]
Token = Annotated[str, Field(min_length=1, max_length=4096)]


class Registration(Body):
    """A new account."""

    email: Email = Field(max_length=254, examples=["ann@example.com"])
    password: Password
    name: Name
    role: Role


class Credentials(Body):
    """Who logs in."""

    email: Annotated[str, Field(max_length=254)]
    password: Annotated[str, Field(max_length=LONGEST_PASSWORD)]


class Refresh(Body):
    """The refresh token to exchange."""

    refresh_token: Token


class Verification(Body):
    """The token of the link that was sent by mail."""

    token: Token


class PasswordChange(Body):
    """The password before and the one from now on."""

    current_password: Annotated[str, Field(max_length=LONGEST_PASSWORD)]
    new_password: Password


class Rate(Body):
    """Price of an hour, in minor units."""

    amount: Amount
    currency: Currency


class ProfileChanges(Body):
    """What to change; absent fields stay, null clears `hourly_rate` and `location`."""

    name: Name = absent()
    role: Role = absent()
    about: Printable = absent(max_length=5000)
    skills: list[Skill] = absent(max_length=50)
    hourly_rate: Rate | None = absent()
    location: LocationIn | None = absent()
    active: bool = absent()


class Money(Answer):
    """An amount in minor units."""

    amount: int
    currency: str


class PublicUser(Answer):
    """What everybody may know about a person."""

    id: str
    name: str
    role: str
    about: str
    skills: list[str]
    hourly_rate: Money | None
    location: Location | None
    active: bool
    rating: float | None
    rating_count: int
    completed_jobs: int
    retraction_count: int
    badges: list[str]
    created_at: Timestamp


class OwnUser(PublicUser):
    """What a person sees of its own account."""

    email: str
    email_verified: bool
    admin: bool


class LoggedIn(Answer):
    """Tokens of a session, and whose it is."""

    user: OwnUser
    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 - the word of RFC 6750
    expires_in: int = Field(description="seconds that the access token is valid")


class OwnSession(Answer):
    """One login of the caller."""

    id: str
    device: str
    created_at: Timestamp
    used_at: Timestamp
    current: bool


class OwnSessions(Answer):
    """The caller's living logins, newest first."""

    items: list[OwnSession]


class Verified(Answer):
    """The outcome of following a link."""

    email_verified: bool
