"""All settings, one frozen tree, read from RIALTO_* variables and validated at boot.

`rialto check-config` prints the effective values with secrets masked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.forms import NetworkText, OriginText
from server.limits.rate import RateText

INSTANCE_NAME: Final = "[a-z0-9][a-z0-9-]{0,30}"
"""A regular expression: what a proxy can tell from the rest of a session id without a doubt."""

_COMMAND_RATES: Final = {
    "*": "300/m",
    "connect": "60/m",
    "reauthenticate": "60/m",
    "subscribe": "2000/m",
    "unsubscribe": "2000/m",
    "/bidding bid": "60/10s",
    "/bidding retract": "10/10s",
    "/chat send": "30/10s",
    "/chat edit": "30/10s",
    "/chat delete": "30/10s",
    "/chat react": "60/10s",
    "/chat typing": "60/10s",
    "/chat read": "100/10s",
}
"""A socket that comes back subscribes to all its streams at once, and a bidder's machine may be quick; people are slower."""


_CommandName = Annotated[str, Field(pattern=r"^(\*|(/[a-z][a-z0-9_-]* )?[a-z][a-z0-9_]*)$")]

_NamespaceName = Annotated[str, Field(pattern=r"^/[a-z][a-z0-9_-]*$")]


class Settings(BaseSettings):
    """Every setting of every process. Field descriptions are the documentation."""

    model_config = SettingsConfigDict(env_prefix="RIALTO_", frozen=True, extra="ignore")

    # where
    host: str = Field("127.0.0.1", description="address that web instances bind to")
    port: int = Field(8080, ge=0, le=65535, description="port of the (first) web instance; 0 takes a free one")
    worker_port: int = Field(0, ge=0, le=65535, description="port of a worker's health and metrics; 0 has none")
    data_dir: Path = Field(Path(".rialto"), description="folder of embedded databases, generated secrets, spooled mail")
    site_dir: Path = Field(
        Path(__file__).parents[1] / "web" / "app" / "dist", description="folder of the built web app, read at start"
    )
    public_url: str = Field("", description="base URL in links sent to people; default http://HOST:PORT")
    instance: str = Field(
        "",
        pattern=f"^({INSTANCE_NAME})?$",
        description="name of this process, no other's: session ids begin with it, and proxies route by that; made up when empty",
    )

    # stores
    mongodb_url: str = Field("", description="MongoDB replica set; empty starts the embedded one (rialto dev, tests)")
    mongodb_database: str = Field("rialto", description="database name")
    mongodb_pool_min: int = Field(10, ge=0, le=1000, description="connections kept open per process")
    mongodb_pool_max: int = Field(50, ge=1, le=1000, description="connections at most per process")
    mongodb_connect_timeout_ms: int = Field(5_000, ge=100, description="server selection and connect")
    mongodb_socket_timeout_ms: int = Field(45_000, ge=100, description="one network operation")
    redis_url: str = Field(
        "",
        description="Redis or Valkey 7+; `redis+cluster://host:port,host:port` for a cluster, some of its servers; empty starts the "
        "embedded one (rialto dev, tests)",
    )
    redis_timeout_ms: int = Field(1_000, ge=10, description="connect to and answer of Redis")

    # streams
    append_timeout_ms: int = Field(5_000, ge=10, description="a command not settled by then is answered UNAVAILABLE")
    append_batch: int = Field(256, ge=1, le=5_000, description="commands decided for one group commit at most")
    append_backlog: int = Field(10_000, ge=1, description="commands waiting per stream; beyond it UNAVAILABLE at once")
    snapshot_every: int = Field(1_000, ge=1, description="events between two snapshots of a stream")
    stream_cache: int = Field(10_000, ge=1, description="idle streams whose state is kept in memory per process")
    poll_interval_ms: int = Field(1_000, ge=10, description="anti-entropy read of watched streams while Redis is up")
    poll_interval_degraded_ms: int = Field(150, ge=10, description="the same while Redis is down")

    # the end of a process
    drain_s: float = Field(
        20.0, ge=1, le=600, description="from SIGTERM to the end at the latest; a second signal cuts it short"
    )
    drain_rate: float = Field(
        100.0, gt=0, description="sockets asked to leave per second; more if there are too many for DRAIN_S"
    )

    # accounts
    token_secret: SecretStr = Field(
        SecretStr(""), description="HS256 key, 32 bytes or more; dev generates and keeps one"
    )
    access_token_s: int = Field(900, ge=10, le=86_400, description="life of an access token")
    refresh_token_s: int = Field(604_800, ge=60, le=604_800, description="life of a refresh token, at most 7 days")
    argon2_memory_kib: int = Field(19_456, ge=8, description="Argon2id memory (OWASP minimum 19 MiB)")
    argon2_time: int = Field(2, ge=1, description="Argon2id passes")
    smtp_url: str = Field("", description="smtp[s]://user:password@host:port; empty spools mail under DATA_DIR/mail")
    mail_from: str = Field("Rialto <no-reply@localhost>", description="From of outgoing mail")

    # people in rooms
    chat_contact_filter: bool = Field(
        True, description="refuse addresses, links, numbers and messengers' names in rooms of people without a contract"
    )
    presence_expiry_s: float = Field(30.0, gt=0, le=600, description="how long the last sign of a dead instance holds")
    presence_grace_s: float = Field(2.0, ge=0, le=60, description="how long one stays online after one's last socket")
    presence_poll_s: float = Field(3.0, gt=0, le=60, description="pause between two looks at who is online")

    # notifications
    notify_at_once: int = Field(16, ge=1, le=1_000, description="inboxes that one worker writes to at a time")
    notify_closing_s: int = Field(300, ge=1, description="how long before an auction's end its bidders are told of it")
    notify_award_expiring_s: int = Field(14_400, ge=1, description="how long before an award lapses its winner is told")
    notify_max_age_s: int = Field(604_800, ge=60, description="what is older, when a worker comes to it, is no news")

    # webhooks
    webhook_private_addresses: bool = Field(
        False, description="webhooks may also lead to private addresses, loopback included, and over http"
    )
    webhook_plain_http: bool = Field(False, description="webhooks may also lead over http")
    webhook_timeout_s: float = Field(10.0, gt=0, le=60, description="one try of a delivery")
    webhook_attempts: int = Field(10, ge=1, le=20, description="tries of a delivery before it is dead")
    webhook_retry_s: float = Field(
        10.0, gt=0, description="pause after the first failed try; each is three times the one before"
    )
    webhook_concurrency: int = Field(32, ge=1, le=1_000, description="tries at once per worker")
    webhook_host_concurrency: int = Field(4, ge=1, le=100, description="of them to one host")
    webhook_disable_after_s: float = Field(
        259_200, gt=0, description="a webhook without a success for so long is disabled when its next delivery dies"
    )
    webhook_keep_days: int = Field(30, ge=1, le=365, description="how long deliveries can be seen and replayed")
    webhook_limit: int = Field(20, ge=1, le=1_000, description="webhooks of one user")

    # edges
    max_body: Annotated[int, Field(ge=1024)] = Field(
        1_000_000, description="largest request body or socket frame, bytes"
    )
    socket_buffer: int = Field(
        1 << 20, ge=65_536, description="bytes that may wait for a socket's client; a slower one is cut off and resumes"
    )
    socket_compression: bool = Field(
        False, description="let WebSockets compress what is long: less traffic, more work and memory"
    )
    socket_recovery: tuple[_NamespaceName, ...] = Field(
        (), description="namespaces whose clients may have their connection recovered, such as /bidding; JSON list"
    )
    socket_recovery_s: float = Field(
        120.0, ge=0.1, le=86_400, description="how long after it was last told where it stands a client may come back"
    )
    admin_ui: Literal["off", "production", "development"] = Field(
        "off",
        description="serve the Socket.IO Admin UI's namespace /admin: in production with numbers only, in development with every "
        "client and everything that is said; for admins' tokens and whoever knows the password",
    )
    admin_ui_username: str = Field("", description="name that the Admin UI's page may be entered with")
    admin_ui_password_hash: SecretStr = Field(
        SecretStr(""), description="Argon2 hash of the password that belongs to it"
    )
    admin_ui_read_only: bool = Field(False, description="the Admin UI may neither disconnect clients nor emit to them")
    fanout_tick_ms: int = Field(
        10, ge=0, le=1_000, description="how long a busy stream's events may gather to travel together; 0: not at all"
    )
    max_subscriptions: int = Field(1_000, ge=1, description="streams one socket may watch")
    cors_origins: tuple[OriginText, ...] = Field(
        (), description="origins allowed to call from browsers; JSON list; '*' for any"
    )
    ping_interval_s: float = Field(25.0, gt=0, description="Engine.IO ping interval")
    ping_timeout_s: float = Field(20.0, gt=0, description="Engine.IO ping timeout")
    log_json: bool = Field(True, description="JSON log lines; false prints them for people")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least level logged")

    # limits: `<count>/<number?><s|m|h>`, all of the count at once and then one by one
    rate_limits: bool = Field(True, description="false turns all of them off, for load tests")
    rate_auth: RateText = Field(
        "100/15m", description="requests below /auth without a token, per address, on all instances"
    )
    rate_user: RateText = Field("1200/m", description="REST requests per user, on one instance")
    rate_anonymous: RateText = Field("1200/m", description="REST requests without a login per address, on one instance")
    rate_handshakes: RateText = Field("1200/m", description="sockets opened per address, on one instance")
    rate_commands: dict[_CommandName, RateText] = Field(
        _COMMAND_RATES,
        description="socket commands per user, by `/namespace command`, `command` in any, or `*` for all others; ten times as "
        "many per address without a login; `connect` is entering a namespace, per socket. JSON object, changes these only",
    )
    trusted_proxies: tuple[NetworkText, ...] = Field(
        ("127.0.0.0/8", "::1/128"),
        description="networks whose X-Forwarded-For and X-Forwarded-Host are believed; JSON list. By default a proxy on this "
        "machine; clients must not be able to connect from there by themselves",
    )

    # rialto dev
    simulate: bool = Field(True, description="let demo users bid through real sockets")

    @field_validator("rate_commands", mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        return {**_COMMAND_RATES, **given} if isinstance(given, dict) else given
