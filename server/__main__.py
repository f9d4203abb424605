"""The `rialto` command.

Every subcommand imports what it needs itself, so that `rialto verify-log` does not wait for a web framework.
Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from server.settings import Settings


class Failure(Exception):
    """Ends the command with a message for a person and an exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except Failure as failure:
        print(f"rialto: {failure}", file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `rialto openapi | head`
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rialto", description="A real-time marketplace server: live auctions on durable streams."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        command.set_defaults(run=run)
        return command

    dev = add("dev", _dev, "run the whole market here: databases, web instances, a worker, demo data")
    dev.add_argument("--instances", type=_count, default=2, metavar="N", help="web instances (default 2)")
    serve = add("serve", _serve, "run one web instance")
    serve.add_argument("--host", help="address to bind to (default RIALTO_HOST)")
    serve.add_argument("--port", type=_port, help="port to bind to, 0 takes a free one (default RIALTO_PORT)")
    add("worker", _worker, "run one worker: followers, timers, read models")
    seed = add("seed", _seed, "load the demo data into a running market, once")
    seed.add_argument("--url", help="where it runs (default http://RIALTO_HOST:RIALTO_PORT)")
    grant = add("grant-admin", _grant_admin, "make an account an admin's, from its next login on")
    grant.add_argument("email", metavar="EMAIL")
    simulate = add("simulate", _simulate, "let demo users bid at a running market through sockets, for ever")
    simulate.add_argument("--url", action="append", help="an instance; may be given several times")
    add("check-config", _check_config, "print the effective settings with secrets masked; exit 2 if they are invalid")
    add("openapi", _openapi, "print the OpenAPI 3.1 description of the REST interface")
    add("asyncapi", _asyncapi, "print the AsyncAPI 3 description of the sockets and streams")
    verify = add("verify-log", _verify_log, "verify the hash chain of an exported auction log, offline")
    verify.add_argument(
        "file", type=Path, metavar="FILE", help="JSON Lines from GET /api/v1/auctions/{id}/log; - is stdin"
    )
    return parser


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError("must be from 1 to 64")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return number


def _settings(**changes: Any) -> Settings:
    """The validated settings; `changes` that are None are left to the environment."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from server.settings import Settings

    try:
        return Settings(**{name: value for name, value in changes.items() if value is not None})
    except ValidationError as error:
        problems = [_problem(*one["loc"], one["msg"]) for one in error.errors()]
        raise Failure("the settings are not valid:\n" + "\n".join(problems), 2) from None
    except SettingsError as error:  # of a list that is not JSON; only the text names the field
        name = str(error).partition('field "')[2].partition('"')[0]
        raise Failure(f"the settings are not valid:\n  RIALTO_{name.upper()}: must be JSON", 2) from None


def _problem(name: int | str, *rest: int | str) -> str:
    """A line for one mistake: the variable, where in it (of a list or an object), and what is wrong."""
    return f"  RIALTO_{str(name).upper()}: {': '.join(map(str, rest))}"


def _for_a_process(settings: Settings) -> Settings:
    """The same, if they suffice for a single process, which starts no databases and makes up no secret."""
    missing = [
        f"  RIALTO_{name.upper()}: {why}"
        for name, given, why in (
            ("mongodb_url", settings.mongodb_url, "the replica set to use"),
            ("redis_url", settings.redis_url, "the Redis or Valkey to use"),
            ("token_secret", settings.token_secret.get_secret_value(), "32 bytes or more, the same for all processes"),
        )
        if not given
    ]
    if missing:
        raise Failure(
            "these must be set for a single process (`rialto dev` provides them itself):\n" + "\n".join(missing), 2
        )
    return settings


def _run(work: Coroutine[Any, Any, None]) -> int:
    import uvloop

    uvloop.run(work)
    return 0


def _dev(options: argparse.Namespace) -> int:
    from server.dev.api import ApiProblem
    from server.dev.binaries import DatabaseUnavailable
    from server.dev.supervisor import AlreadyRunning, Unready, supervise

    try:
        return _run(supervise(_settings(), instances=options.instances))
    except (AlreadyRunning, ApiProblem, DatabaseUnavailable, Unready) as error:
        raise Failure(str(error)) from None


def _serve(options: argparse.Namespace) -> int:
    settings = _for_a_process(_settings(host=options.host, port=options.port))
    from server import app

    return _run(app.serve(settings, host=settings.host, port=settings.port, ready=lambda url: print(url, flush=True)))


def _worker(options: argparse.Namespace) -> int:
    settings = _for_a_process(_settings())
    from server import app

    return _run(app.work(settings))


def _seed(options: argparse.Namespace) -> int:
    settings = _settings()
    from server.auth.admins import grant_admin
    from server.dev.api import ApiProblem
    from server.dev.demo import seed

    async def grant(email: str) -> None:
        await grant_admin(settings.mongodb_url, settings.mongodb_database, email)

    url = options.url or f"http://{settings.host}:{settings.port}"
    try:
        return _run(seed(url, grant_admin=grant if settings.mongodb_url else None))
    except ApiProblem as error:
        raise Failure(str(error)) from None


def _grant_admin(options: argparse.Namespace) -> int:
    settings = _settings()
    if not settings.mongodb_url:
        raise Failure("RIALTO_MONGODB_URL must be set", 2)
    from server.auth.admins import grant_admin

    async def grant() -> None:
        if not await grant_admin(settings.mongodb_url, settings.mongodb_database, options.email):
            raise Failure(f"{options.email} has no account")

    return _run(grant())


def _simulate(options: argparse.Namespace) -> int:
    settings = _settings()
    from server.dev.simulator import simulate

    return _run(simulate(options.url or [f"http://{settings.host}:{settings.port}"]))


def _check_config(options: argparse.Namespace) -> int:
    settings = _settings()
    for name, value in settings.model_dump(mode="json").items():
        print(f"RIALTO_{name.upper()}={_masked(value)}")
    return 0


def _masked(value: Any) -> str:
    """As it would be written in the environment, without the password of an URL (secrets mask themselves)."""
    import json
    import re

    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*(?=@)", r"\1:**********", text)


def _openapi(options: argparse.Namespace) -> int:
    from server import app

    return _print_json(app.describe_openapi(_settings()))


def _asyncapi(options: argparse.Namespace) -> int:
    from server import app

    return _print_json(app.describe_asyncapi(_settings()))


def _print_json(document: dict[str, Any]) -> int:
    import json

    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    print()
    return 0


def _verify_log(options: argparse.Namespace) -> int:
    from models.rules.log import verify

    try:
        if str(options.file) == "-":
            report = verify(sys.stdin.buffer)
        else:
            with options.file.open("rb") as lines:
                report = verify(lines)
    except OSError as error:
        raise Failure(f"cannot read {options.file}: {error.strerror}") from None
    if report.broken_seq is not None:
        raise Failure(f"broken at event {report.broken_seq}: {report.reason}")
    if not report.ok:
        raise Failure(str(report.reason))
    if report.resolution_checked:
        print(f"{report.events} events: the hash chain and the resolution verify")
    else:
        print(f"{report.events} events: the hash chain verifies (the resolution needs an export with private fields)")
    print(f"head {report.head}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
