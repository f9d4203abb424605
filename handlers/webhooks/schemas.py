"""Webhooks: commands in, views out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from handlers.webhooks.targets import LONGEST
from server.web.fields import Answer, Body, Moment, Printable, Timestamp, absent
from server.web.paging import PageQuery

EventType = Literal["job.created", "bid.submitted", "auction.closed", "award.accepted"]
State = Literal["queued", "delivered", "dead"]


def _once(types: list[str]) -> list[str]:
    if len(set(types)) != len(types):
        raise ValueError("must not name a type twice")
    return types


EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=4), AfterValidator(_once)]
Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST),
    Field(
        description="`https`, with the port 443, 80 or one from 1024 on; no user, password or fragment; a host of the public "
        "Internet",
        examples=["https://example.com/rialto"],
    ),
]
Description = Annotated[Printable, StringConstraints(max_length=300)]


class NewWebhook(Body):
    """Where to deliver what."""

    url: Url
    events: EventTypes = Field(description="types of events; each from now on")
    description: Description = ""
    scope: Literal["own", "all"] = Field(
        "own", description="`own`: events of the caller's own jobs; `all`: of everybody's, for admins"
    )


class WebhookChanges(Body):
    """What is to be different."""

    url: Url = absent()
    events: EventTypes = absent(description="types of events; each new one from now on")
    description: Description = absent()
    status: Literal["active", "paused"] = absent(description="`active` also ends a disabling")


class WebhookOut(Answer):
    """A webhook."""

    id: str
    url: str = Field(description="in its normal form")
    events: list[EventType]
    scope: Literal["own", "all"]
    description: str
    status: Literal["active", "paused", "disabled"] = Field(
        description="`disabled`: nothing could be delivered for long. While it is not active its deliveries are kept as dead ones"
    )
    failing_since: Timestamp | None = Field(description="first failure after the last success; null while all is well")
    disabled_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp
    rotated_at: Timestamp | None
    former_secret_until: Timestamp | None = Field(description="until then a replaced secret signs along")


class WebhookWithSecret(WebhookOut):
    """A webhook and its secret, which is not shown again."""

    secret: str = Field(description="key of the signatures; all of the text, the prefix included")


class DeliveryQuery(PageQuery):
    """Which deliveries."""

    state: State | None = None


class DeliveryOut(Answer):
    """An event for a webhook."""

    id: str = Field(description="the header Rialto-Delivery, the same at every try")
    event: str = Field(description="`id` of the body, the same for every webhook")
    type: str
    state: State
    attempts: int = Field(description="tries since it was queued, or replayed last")
    replays: int
    error: str | None = Field(
        description="why the last try failed: `status`, `redirect`, `timeout`, `unreachable`, `address_refused`, `tls`, "
        "`invalid_answer`, `url_refused`; or why there was none: `paused`, `disabled`, `interrupted`, `forbidden`"
    )
    created_at: Timestamp = Field(description="when it happened")
    next_at: Timestamp | None = Field(description="of a queued one: when it is tried next")
    delivered_at: Timestamp | None


class Try(Answer):
    """One request to the receiver."""

    at: Timestamp
    duration_ms: int
    status: int | None = Field(description="of the answer, if there was one")
    error: str | None


class WholeDelivery(DeliveryOut):
    """A delivery with what was sent, and how that went."""

    body: dict[str, Any]
    tries: list[Try] = Field(description="the last 20, oldest first")


class Replay(Body):
    """From when on."""

    since: Moment = Field(description="dead deliveries of events since then")


class Replayed(Answer):
    """What a replay came to."""

    replayed: int = Field(description="deliveries that are queued again")
