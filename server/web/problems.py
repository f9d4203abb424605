"""The one mapper from failures to HTTP: RFC 9457 `application/problem+json` (contract.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from server.errors import AppError
from server.web.outage import is_outage

CONTENT_TYPE: Final = "application/problem+json"

_OF_STATUS: Final[Mapping[int, str]] = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    409: "CONFLICT",
    413: "TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "VALIDATION_FAILED",
    429: "RATE_LIMITED",
    503: "UNAVAILABLE",
}
"""aiohttp raises by status; every other 4xx is a BAD_REQUEST."""

log = structlog.get_logger(__name__)


class FieldProblem(BaseModel):
    """One field that is not valid: where it is, and what is wrong with it."""

    loc: list[str | int] = Field(examples=[["body", "budget", "min"]])
    msg: str


class Problem(BaseModel):
    """A failed request, in the form of RFC 9457. `code` is stable; `retryable` says whether a retry can help."""

    model_config = ConfigDict(title="Problem")

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    request_id: str
    errors: list[FieldProblem] = []
    details: dict[str, Any] = {}


def as_app_error(error: Exception) -> AppError:
    """What is answered for any exception. What nobody foresaw is INTERNAL, and logged with its traceback."""
    if isinstance(error, AppError):
        return error
    if isinstance(error, web.HTTPException):
        return AppError(_OF_STATUS.get(error.status, "BAD_REQUEST" if error.status < 500 else "INTERNAL"))
    if is_outage(error):
        log.warning("request.unavailable", kind=type(error).__name__, error=str(error)[:300])
        return AppError("UNAVAILABLE")
    log.error("request.failed", exc_info=error)
    return AppError("INTERNAL")


def problem_body(error: AppError, request_id: str) -> dict[str, Any]:
    """The members of contract.md; `errors` and `details` only where there are some."""
    body: dict[str, Any] = {
        "type": "urn:rialto:problem:" + error.code.lower().replace("_", "-"),
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "retryable": error.retryable,
        "request_id": request_id,
    }
    if error.errors:
        body["errors"] = error.errors
    if error.details:
        body["details"] = error.details
    return body


def problem_response(error: AppError, request_id: str) -> web.Response:
    """The response for a failure, with `Retry-After` and `WWW-Authenticate` where they belong."""
    response = web.Response(
        status=error.status,
        body=orjson.dumps(problem_body(error, request_id), default=str, option=orjson.OPT_NON_STR_KEYS),
        content_type=CONTENT_TYPE,
    )
    if error.retryable:
        response.headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="rialto"'
    return response
