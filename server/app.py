"""The composition root: the only module that knows all parts, and the only one that imports the market."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

import structlog
from aiohttp import web
from beanie import init_beanie
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.errors import PyMongoError

import handlers
from models.event import EventDocument, FollowerDocument, SnapshotDocument
from models.idempotency import IdempotencyRecord
from models.session import Session
from server.auth.denylist import Denylist
from server.auth.revocation import Revocations
from server.auth.tokens import Tokens
from server.background import end, run_for_ever
from server.clock import Clock, new_id
from server.collector import tune_collector
from server.context import Context
from server.drain import LEAVING_SHARE, Shutdown
from server.driver import repair_waiting
from server.limits.limits import Limits
from server.logs import configure_logs
from server.metrics import DRAINING, INFO
from server.metrics.pool import PoolMetrics
from server.operations import Operations
from server.realtime import Sockets
from server.settings import Settings
from server.streams import metrics
from server.streams.followers import Followers
from server.streams.mongo import MongoEventStore
from server.streams.redis_link import RedisLink
from server.streams.streams import Streams
from server.web.app import HEALTH, build_operations, build_web, release, runner_options
from server.web.asyncapi import asyncapi_routes
from server.web.asyncapi import describe as describe_sockets
from server.web.openapi import describe as describe_routes
from server.web.protocol import Runner
from server.web.router import Router
from server.web.streams import StreamRoutes

log = structlog.get_logger(__name__)

_ENGINE_DOCUMENTS: Final = (EventDocument, SnapshotDocument, FollowerDocument, IdempotencyRecord)
_CONNECT_PAUSE_S: Final = 0.5


def compose(settings: Settings) -> tuple[Context, StreamRoutes]:
    """Build every part and let each feature register; nothing is connected or started yet."""
    instance = settings.instance or f"i-{new_id()[:10]}"
    repair_waiting()
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        settings.mongodb_url or None,
        minPoolSize=settings.mongodb_pool_min,
        maxPoolSize=settings.mongodb_pool_max,
        serverSelectionTimeoutMS=settings.mongodb_connect_timeout_ms,
        connectTimeoutMS=settings.mongodb_connect_timeout_ms,
        waitQueueTimeoutMS=settings.mongodb_connect_timeout_ms,
        socketTimeoutMS=settings.mongodb_socket_timeout_ms,
        appname=f"rialto {instance}"[:128],
        event_listeners=[PoolMetrics()],
        tz_aware=True,
    )
    db = client.get_database(settings.mongodb_database, write_concern=WriteConcern(w="majority", j=True))
    clock = Clock(_primary_time(client))
    redis = RedisLink(settings.redis_url or "redis://127.0.0.1:6379", timeout_ms=settings.redis_timeout_ms)
    streams = Streams(MongoEventStore(db), redis, clock, settings, instance)
    denylist = Denylist(redis, clock, settings.access_token_s)
    tokens = Tokens(settings.token_secret.get_secret_value(), clock, settings.access_token_s, denylist)
    limits = Limits(settings, redis)
    sockets = Sockets(settings, clock, streams, streams.hub, tokens, limits, instance=instance, redis=redis)
    sessions = db[Session.Settings.name]
    context = Context(
        settings=settings,
        instance=instance,
        clock=clock,
        client=client,
        db=db,
        redis=redis,
        streams=streams,
        followers=Followers(db, clock, instance),
        tokens=tokens,
        revocations=Revocations(sessions, redis, clock, denylist, sockets.close_session),
        router=Router(),
        limits=limits,
        sockets=sockets,
        operations=Operations(instance, release(), clock, redis, client),
        documents=list(_ENGINE_DOCUMENTS),
    )
    context.operations.register(context.router)
    for feature in handlers.FEATURES:
        importlib.import_module(feature).setup(context)
    stream_routes = StreamRoutes(streams, sockets.sessions, tokens, clock)
    stream_routes.register(context.router, _carried(sockets))
    return context, stream_routes


def _carried(sockets: Sockets) -> list[Any]:
    """The types of the events of all streams; none as long as a namespace does not tell its own."""
    carries = [namespace.carries for namespace in sockets]
    return [events for some in carries for events in some] if all(carries) else []


def _primary_time(client: AsyncMongoClient[dict[str, Any]]) -> Callable[[], Any]:
    async def read() -> float:
        answer = await client.admin.command("hello")
        return float(answer["localTime"].timestamp() * 1000)

    return read


@asynccontextmanager
async def running(context: Context) -> AsyncIterator[None]:
    """The parts that every role needs, started; stopped again at the end."""
    await _prepare_database(context)
    await context.clock.start()
    await context.redis.start()
    await context.revocations.start()
    await context.streams.start()
    metrics.CLOCK_ERROR.set_function(lambda: context.clock.error_bound_ms / 1000)
    metrics.SUBSCRIPTIONS.set_function(lambda: context.hub.subscriptions)
    try:
        yield
    finally:
        await context.streams.stop()
        await context.revocations.stop()
        await context.redis.stop()
        await context.clock.stop()
        await context.client.close()


async def _prepare_database(context: Context) -> None:
    """Wait for MongoDB, however long it takes, and make the indexes."""
    while True:
        try:
            await init_beanie(database=context.db, document_models=context.documents)
        except PyMongoError as error:
            log.warning("mongodb.waiting", error=str(error))
            await asyncio.sleep(_CONNECT_PAUSE_S)
        else:
            return


def build_app(context: Context, stream_routes: StreamRoutes) -> web.Application:
    """The aiohttp application of a web instance."""
    app = build_web(context)
    app.add_routes(asyncapi_routes(context.sockets, release()))
    context.sockets.attach(app)

    async def hang_up(_app: web.Application) -> None:
        stream_routes.stop()
        await context.sockets.stop()

    app.on_shutdown.append(hang_up)
    return app


@asynccontextmanager
async def listening(
    app: web.Application, shutdown: Shutdown, settings: Settings, host: str, port: int
) -> AsyncIterator[str]:
    """The application on a port, as its URL; at the end what is in flight is answered, as far as there is time."""
    runner = Runner(app, **runner_options(settings))
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=4096)
        await site.start()
        bound = runner.addresses[0][1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{bound}"
    finally:
        await shutdown.while_time(runner.cleanup())


async def serve(settings: Settings, *, host: str, port: int, ready: Callable[[str], None] | None = None) -> None:
    """Run one web instance until SIGTERM or SIGINT. `ready` is called with its URL once it accepts connections."""
    configure_logs(settings)
    context, stream_routes = compose(settings)
    shutdown = Shutdown(settings.drain_s)
    shutdown.listen()
    async with running(context):
        tune_collector()
        app = build_app(context, stream_routes)
        INFO.labels(context.instance, "web", release()).set(1)
        async with (
            listening(app, shutdown, settings, host, port) as url,
            context.operations.told("web", lambda: app[HEALTH].accepting),
        ):
            log.info("serving", url=url, instance=context.instance)
            if ready is not None:
                ready(url)
            shutdown.serving = True
            await shutdown.asked.wait()
            log.info("draining", instance=context.instance, sockets=context.sockets.open_transports)
            await shutdown.while_patient(_drain(app, context, stream_routes))
            log.info("stopping", instance=context.instance, left_s=round(shutdown.left_s, 1))


async def _drain(app: web.Application, context: Context, stream_routes: StreamRoutes) -> None:
    """Let clients go, while the listening socket stays open: what comes meanwhile is answered, so that a proxy goes elsewhere."""
    settings = context.settings
    limit_s = settings.drain_s * LEAVING_SHARE
    app[HEALTH].accepting = False
    DRAINING.set(1)
    await asyncio.gather(
        context.sockets.drain(settings.drain_rate, limit_s), stream_routes.drain(settings.drain_rate, limit_s / 2)
    )


async def work(settings: Settings) -> None:
    """Run one worker, all followers and background tasks, until SIGTERM or SIGINT."""
    configure_logs(settings)
    context, _ = compose(settings)
    shutdown = Shutdown(settings.drain_s)
    shutdown.listen()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(context))
        tune_collector()
        INFO.labels(context.instance, "worker", release()).set(1)
        app, url = build_operations(context), None
        if settings.worker_port:
            url = await stack.enter_async_context(
                listening(app, shutdown, settings, settings.host, settings.worker_port)
            )
        await context.followers.start()
        await stack.enter_async_context(context.operations.told("worker", lambda: app[HEALTH].accepting))
        tasks = [run_for_ever(partial(run, context), name) for name, run in context.tasks.items()]
        log.info("working", instance=context.instance, tasks=list(context.tasks), url=url)
        shutdown.serving = True
        await shutdown.asked.wait()
        log.info("stopping", instance=context.instance)
        app[HEALTH].accepting = False
        DRAINING.set(1)
        # What is cut off is done again, here or by another worker: effects are idempotent, and leases are given back.
        await shutdown.while_time(asyncio.gather(end(tasks), context.followers.stop()))


def describe_openapi(settings: Settings) -> dict[str, Any]:
    """The OpenAPI 3.1 document, without starting anything."""
    return _described(settings, lambda context: describe_routes(context.router, release()))


def describe_asyncapi(settings: Settings) -> dict[str, Any]:
    """The AsyncAPI 3 document, without starting anything."""
    return _described(settings, lambda context: describe_sockets(context.sockets, release()))


def _described(settings: Settings, describe: Callable[[Context], dict[str, Any]]) -> dict[str, Any]:
    if not settings.token_secret.get_secret_value():
        settings = settings.model_copy(update={"token_secret": type(settings.token_secret)("0" * 32)})

    async def compose_and_describe() -> dict[str, Any]:
        context, _ = compose(settings)
        try:
            return describe(context)
        finally:
            await context.client.close()
            await context.redis.stop()

    return asyncio.run(compose_and_describe())
