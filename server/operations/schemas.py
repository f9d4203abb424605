"""What admins are told of the running market."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from server.web.fields import Answer, Timestamp

Role = Literal["web", "worker"]


class Commits(Answer):
    """Group commits of a process: how many since its start, and how long those of the last ten seconds took."""

    count: int
    seconds: float = Field(description="that all of them took together")
    p50_ms: float | None = Field(description="null if there were none lately")
    p95_ms: float | None


class FollowerFigures(Answer):
    """A follower that the process runs, or waits to take over."""

    name: str
    lag_s: float = Field(description="age of the last event that was handled; 0 when idle")
    events: int = Field(description="handled since the process' start")


class ProcessFigures(Answer):
    """One process at the moment `t`. What is counted is counted since its start: rates come from two looks at it."""

    name: str
    role: Role
    release: str
    t: Timestamp
    started_at: Timestamp
    uptime_s: int
    ready: bool = Field(description="whether it may be sent requests")
    draining: bool = Field(description="whether it was asked to end")
    mongodb_up: bool = Field(description="whether it knows a primary")
    redis_up: bool
    sockets: int
    users: int = Field(description="with a live socket or event stream here")
    subscriptions: int = Field(description="to streams, of all its clients")
    bids: int = Field(description="accepted")
    commands: int = Field(description="of sockets, refused ones included")
    commits: Commits
    deliveries: int = Field(description="events handed to subscribers, per subscriber")
    slow_clients: int = Field(description="cut off, because too much waited for them")
    loop_lag_ms: float = Field(description="how late it came to what was due at a time, at the last look")
    memory_bytes: int
    clock_error_ms: float = Field(description="how far its clock may be off the market's")
    followers: list[FollowerFigures]


class RedisState(Answer):
    """Redis or Valkey as the answering instance sees it."""

    up: bool
    latency_ms: float | None


class MongoState(Answer):
    """MongoDB as the answering instance sees it."""

    up: bool
    latency_ms: float | None
    primary: str | None = Field(description="address of the replica set's primary")


class OperationsOut(Answer):
    """All processes of the market."""

    t: Timestamp
    answered_by: str = Field(description="name of the instance that answers")
    complete: bool = Field(description="false: Redis is away, so there is the answering instance alone")
    redis: RedisState
    mongodb: MongoState
    processes: list[ProcessFigures]
