"""The `rialto` command, where it needs no running market."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models.rules.auction.rules import AUCTION_RULES
from models.rules.log import GENESIS, chain_hash
from models.rules.stream import Command, Event
from models.rules.times import to_rfc3339
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
    ("name", "value"),
    [("PORT", "many"), ("LOG_LEVEL", "loud"), ("CORS_ORIGINS", "not json"), ("ACCESS_TOKEN_S", "-1")]
    + [("INSTANCE", name) for name in ("Web", "-web", "web.1", "web_1", "w" * 32, "web 1", "web\n")],
)
def test_invalid_settings_are_listed_by_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"RIALTO_{name}", value)
    assert main(["check-config"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("rialto: the settings are not valid:\n")
    assert f"RIALTO_{name}: " in said


def test_a_mistake_within_a_setting_is_shown_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIALTO_RATE_COMMANDS", '{"/chat send": "often"}')
    assert main(["check-config"]) == 2
    assert "  RIALTO_RATE_COMMANDS: /chat send: Value error, must be like 100/15m" in capsys.readouterr().err


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


NOW = 1_790_000_000_000


def exported_log(path: Path, tamper_with: int | None = None) -> Path:
    """The log of an auction with two bids, of which one event may have been altered afterwards."""
    terms = {"format": "reverse", "currency": "EUR", "start_amount": 100_00, "end_at": NOW + 3_600_000}
    commands = [
        Command("open", "ann", {"job": "a job \u2028 on one line", "terms": terms}),
        Command("bid", "ben", {"amount": 90_00, "kind": "exact"}, "k1"),
        Command("bid", "cem", {"amount": 80_00, "kind": "exact"}, "k2"),
    ]
    state, previous, lines = AUCTION_RULES.initial(), GENESIS, list[str]()
    for seq, command in enumerate(commands, 1):
        (draft,) = AUCTION_RULES.decide(state, replace(command, context={"salt": f"{seq:064x}"}), NOW + seq).drafts
        AUCTION_RULES.apply(state, Event(seq, NOW + seq, draft.type, draft.public, draft.private))
        event = {"seq": seq, "t": to_rfc3339(NOW + seq), "type": draft.type, **draft.public}
        previous = chain_hash(previous, event)
        if seq == tamper_with:
            event["price"] = 1
        lines.append(json.dumps({**event, "hash": previous}, ensure_ascii=False))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_log_that_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-log", str(exported_log(tmp_path / "log"))]) == 0
    assert capsys.readouterr().out.startswith("3 events: the hash chain verifies")


def test_a_log_that_was_altered_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-log", str(exported_log(tmp_path / "log", tamper_with=2))]) == 1
    assert "broken at event 2: hash does not match" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "says"), [(b"", "the log is empty"), (b"\xff\xfe\n", "broken at event 1")])
def test_what_is_no_log_is_refused(
    content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_bytes(content)
    assert main(["verify-log", str(tmp_path / "log")]) == 1
    assert says in capsys.readouterr().err


def test_a_log_that_cannot_be_read_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-log", str(tmp_path / "none")]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_verifying_a_log_loads_no_framework() -> None:
    script = (
        "import sys; from server.__main__ import main; main(['verify-log', '/dev/null']);"
        "print(sorted({'aiohttp', 'pymongo', 'beanie', 'pydantic', 'socketio'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
