"""The `rialto` command, where it needs no running market."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from server.__main__ import main


def test_settings_are_printed_with_secrets_masked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIALTO_TOKEN_SECRET", "a" * 40)
    monkeypatch.setenv("RIALTO_MONGODB_URL", "mongodb://market:hunter2@db.example:27017/?replicaSet=rs")
    monkeypatch.setenv("RIALTO_REDIS_URL", "redis://:hunter2@cache.example/0")
    monkeypatch.setenv("RIALTO_PORT", "9000")
    assert main(["check-config"]) == 0
    printed = capsys.readouterr().out
    assert "RIALTO_PORT=9000\n" in printed
    assert "RIALTO_MONGODB_URL=mongodb://market:**********@db.example:27017/?replicaSet=rs\n" in printed
    assert "RIALTO_REDIS_URL=redis://:**********@cache.example/0\n" in printed
    assert "hunter2" not in printed
    assert "a" * 40 not in printed


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "many"), ("LOG_LEVEL", "loud"), ("CORS_ORIGINS", "not json"), ("ACCESS_TOKEN_S", "-1")]
)
def test_invalid_settings_are_listed_by_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"RIALTO_{name}", value)
    assert main(["check-config"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("rialto: the settings are not valid:\n")
    assert f"RIALTO_{name}: " in said


@pytest.mark.parametrize("process", [["serve", "--port", "0"], ["worker"]])
def test_a_single_process_says_what_it_needs(process: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(process) == 2
    said = capsys.readouterr().err
    assert all(f"RIALTO_{name}: " in said for name in ("MONGODB_URL", "REDIS_URL", "TOKEN_SECRET"))


@pytest.mark.parametrize(
    "arguments", [[], ["unknown"], ["serve", "--port", "65536"], ["dev", "--instances", "0"], ["verify-log"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: rialto" in capsys.readouterr().err


def test_a_log_that_cannot_be_read_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-log", str(tmp_path / "none")]) == 1
    assert "cannot read" in capsys.readouterr().err
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert main(["verify-log", str(tmp_path / "binary")]) == 1
    assert "not UTF-8" in capsys.readouterr().err


def test_verifying_a_log_loads_no_framework() -> None:
    script = (
        "import sys; from server.__main__ import main; main(['verify-log', '/dev/null']);"
        "print(sorted({'aiohttp', 'pymongo', 'beanie', 'pydantic', 'socketio'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
