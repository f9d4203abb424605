"""The client library as a package: formatted, linted, typed, with types that are the server's."""

from __future__ import annotations

from pathlib import Path

import orjson

from server.app import describe_asyncapi, describe_openapi
from server.settings import Settings
from tests.contract import node
from tests.web import package

_GENERATED = package.FOLDER / "src" / "generated"


def test_format_and_linter() -> None:
    package.tool("prettier", "bin/prettier.cjs", "--check", ".")
    package.tool("eslint", "bin/eslint.js", "--max-warnings", "0", ".")


async def test_parts_that_need_no_server(client_package: None) -> None:
    for program in sorted((package.FOLDER / "test" / "unit").glob("*.test.mjs")):
        await package.run(str(program.relative_to(package.FOLDER)))


def test_generated_types_are_not_stale(tmp_path: Path) -> None:
    """When they are: `npm run generate openapi.json asyncapi.json` in web/client, with what `rialto openapi` and `asyncapi` print."""
    settings = Settings()
    (tmp_path / "openapi.json").write_bytes(orjson.dumps(describe_openapi(settings)))
    (tmp_path / "asyncapi.json").write_bytes(orjson.dumps(describe_asyncapi(settings)))
    package.script(
        "scripts/generate.mjs", *(str(tmp_path / name) for name in ("openapi.json", "asyncapi.json", "types"))
    )
    for file in ("openapi.ts", "asyncapi.ts"):
        assert (tmp_path / "types" / file).read_text() == (_GENERATED / file).read_text(), f"{file} is stale"


def test_lock_names_no_registry() -> None:
    lock = orjson.loads((package.FOLDER / "package-lock.json").read_bytes())
    for name, entry in lock["packages"].items():
        assert "resolved" not in entry, name
        assert not name or {"version", "integrity"} <= entry.keys(), name


def test_one_dependency_at_run_time() -> None:
    described = orjson.loads((package.FOLDER / "package.json").read_bytes())
    theirs = orjson.loads((node.FOLDER / "package.json").read_bytes())
    assert described["dependencies"] == {"socket.io-client": theirs["dependencies"]["socket.io-client"]}
