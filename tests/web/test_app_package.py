"""The web app as a package: formatted, linted, typed, its parts tested, and locked without a registry's address."""

from __future__ import annotations

import orjson
import pytest

from server.dev import node
from server.dev.site import WEB

APP = WEB / "app"


@pytest.mark.timeout(900)  # a minute of processor time, on a machine that others keep busy
@pytest.mark.parametrize("script", ["check", "test"])
def test_scripts(script: str) -> None:
    """`npm run check` needs the client library's packages, too: its sources are part of the app."""
    for folder in (APP, WEB / "client"):
        node.packages(folder)
    try:
        node.run([*node.npm(), "run", script], APP)
    except node.Failed as failure:
        pytest.fail(str(failure), pytrace=False)


def test_lock_names_no_registry() -> None:
    lock = orjson.loads((APP / "package-lock.json").read_bytes())
    for name, entry in lock["packages"].items():
        assert "resolved" not in entry, name
        assert not name or {"version", "integrity"} <= entry.keys(), name


def test_versions_are_exact_and_the_client_librarys() -> None:
    described = orjson.loads((APP / "package.json").read_bytes())
    for name, version in (described["dependencies"] | described["devDependencies"]).items():
        assert version[0].isdigit(), name
    client = orjson.loads((WEB / "client" / "package.json").read_bytes())
    assert client["dependencies"].items() <= described["dependencies"].items()
