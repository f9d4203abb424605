"""The aiohttp application, put together from the context: routes, operations, documents, and the edge around all."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from models.idempotency import IdempotencyRecord
from server.limits.address import ClientAddresses
from server.settings import Settings
from server.web.docs import docs_routes
from server.web.edge import edge
from server.web.endpoint import Endpoint
from server.web.headers import ResponseHeaders
from server.web.health import Health, standard_checks
from server.web.idempotency import StoredAnswers
from server.web.origins import Origins
from server.web.router import API_PREFIX
from server.web.site import Site

if TYPE_CHECKING:
    from server.context import Context

HEALTH: Final = web.AppKey("health", Health)

_MOST_HEADERS: Final = 64
_LONGEST_LINE: Final = 8_190


def build_web(context: Context) -> web.Application:
    """The application with every route that features have added to `context.router` so far, and with the web app.

    `app[HEALTH]` takes more checks until the application starts, and stops being ready when it shuts down.
    """
    settings = context.settings
    app = build_operations(context)
    answers = StoredAnswers(context.db[IdempotencyRecord.Settings.name], context.clock)
    for route in context.router:
        endpoint = Endpoint(route, context.tokens, answers, context.limits, settings.max_body)
        app.router.add_route(route.method, API_PREFIX + route.path, endpoint.handle)
        if route.method == "GET":
            app.router.add_route("HEAD", API_PREFIX + route.path, endpoint.handle)
    app.add_routes(docs_routes(context.router, release()))
    app.add_routes(Site(settings.site_dir).routes())
    return app


def build_operations(context: Context) -> web.Application:
    """The application with what operators ask for alone: health and metrics; all that a worker serves."""
    settings = context.settings
    addresses = ClientAddresses(settings.trusted_proxies)
    headers = ResponseHeaders(
        Origins(settings.cors_origins, addresses),
        secure=settings.public_url.startswith("https://"),
        instance=context.instance,
    )
    health = Health(context.clock, context.instance)
    app = web.Application(
        middlewares=[edge(headers, health, addresses)],
        client_max_size=settings.max_body,
        handler_args={"auto_decompress": False},  # see server.web.compression
    )
    app[HEALTH] = health
    app.on_response_prepare.append(headers.add)

    standard_checks(health, context.client, context.redis, settings.data_dir)
    app.add_routes(health.routes())
    app.on_shutdown.append(_stop_accepting)
    return app


def runner_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for `aiohttp.web.AppRunner`: small limits, and no access log beside our own.

    Requests in flight are given all the time there is: whoever cleans up sets the limit (`server.drain`).
    """
    return {
        "access_log": None,
        "handle_signals": False,
        "keepalive_timeout": 75.0,  # longer than a proxy's, so that it is the proxy who closes
        "max_line_size": _LONGEST_LINE,
        "max_field_size": _LONGEST_LINE,
        "max_headers": _MOST_HEADERS,
        "lingering_time": 2.0,
        "shutdown_timeout": settings.drain_s,
        "read_bufsize": min(65_536, settings.max_body),
    }


def release() -> str:
    """The version of this application."""
    try:
        return version("rialto")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "0"


async def _stop_accepting(app: web.Application) -> None:
    app[HEALTH].accepting = False
