"""The real nginx with the project's own configuration, in front of instances."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil
from yarl import URL

from server.dev.child import Child
from tests.cluster.cluster import json_lines
from tests.cluster.databases import steady_port
from tests.cluster.debian import program
from tests.waiting import patiently, until

_SCRIPT: Final = Path(__file__).parents[2] / "nginx" / "start.sh"


class Proxy:
    """nginx, started by nginx/start.sh as in docker compose; an asynchronous context manager.

    Args:
        folder: for its configuration, certificate, cache and log.
        instances: what it stands before: names and URLs, such as `Cluster.instances`.
        settings: variables of nginx/start.sh in addition, such as NGINX_REQUESTS.
        nginx: the program; by default as a test has it.

    Attributes:
        url: where TLS is spoken. plain: where it is not.
        certificate: what clients have to trust, a PEM file.
    """

    def __init__(
        self,
        folder: Path,
        instances: Mapping[str, str],
        *,
        settings: Mapping[str, str] | None = None,
        nginx: Path | None = None,
    ) -> None:
        self.folder = folder
        https = steady_port()
        http = steady_port([https])
        self.url = f"https://127.0.0.1:{https}"
        self.plain = f"http://127.0.0.1:{http}"
        self.certificate = folder / "tls" / "certificate.pem"
        self.child: Child | None = None
        self._log = folder / "nginx.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("NGINX", "RIALTO_"))},
            "RIALTO_INSTANCES": " ".join(f"{name}={URL(url).authority}" for name, url in instances.items()),
            "NGINX_PROGRAM": str(nginx or program("nginx", "nginx")),
            "NGINX_FOLDER": str(folder),
            "NGINX_HTTPS": URL(self.url).authority,
            "NGINX_HTTP": URL(self.plain).authority,
            "NGINX_WORKERS": "2",
            "NGINX_WORKER_CONNECTIONS": "4096",
            **({"NGINX_USER": "root"} if os.geteuid() == 0 else {}),  # pytest's folders are their owner's alone
            **(settings or {}),
        }

    async def check(self) -> tuple[int, str]:
        """`nginx -t`: exit code and what it says."""
        log = self.folder / "check.log"
        child = Child(["/bin/sh", _SCRIPT, "-t"], log=log, env=self._environment)
        await child.start()
        return await child.wait(), log.read_text()

    async def __aenter__(self) -> Proxy:
        """Start nginx; returns when it answers."""
        self.child = Child(["/bin/sh", _SCRIPT], log=self._log, env=self._environment)
        await self.child.start()
        try:
            async with aiohttp.ClientSession() as http:

                async def answers() -> bool:
                    assert self.child is not None
                    assert self.child.running, self.child.last_lines()
                    try:
                        async with http.get(f"{self.url}/robots.txt", ssl=self.trust) as answer:
                            return answer.status == 200
                    except (aiohttp.ClientError, OSError):
                        return False

                await patiently(answers, "nginx to answer")
        except BaseException:
            await self.child.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End nginx."""
        assert self.child is not None
        await self.child.stop()

    async def reload(self) -> None:
        """SIGHUP: begin anew with the same configuration; connections that are open are served to their end.

        Returns when all that is new comes to the new workers.
        """
        assert self.child is not None
        before = psutil.Process(self.child.pid).children()
        self.child.signal(signal.SIGHUP)
        await patiently(lambda: all(_leaves(worker) for worker in before), "the old workers to leave")

    @property
    def trust(self) -> ssl.SSLContext:
        """For clients in Python."""
        return ssl.create_default_context(cafile=self.certificate)

    def log(self) -> list[dict[str, Any]]:
        """Its access log so far, oldest first."""
        return json_lines(self._log)

    async def logged(self, request_id: str) -> dict[str, Any]:
        """The line of a request, once it is written: nginx answers first."""
        return await until(lambda: next((line for line in self.log() if line["request_id"] == request_id), None))

    def errors(self) -> list[str]:
        """What else it had to say."""
        return [line for line in self._log.read_text().splitlines() if not line.startswith("{")]


def _leaves(worker: psutil.Process) -> bool:
    """Whether a worker of nginx takes no connections any more."""
    try:
        return "shutting down" in " ".join(worker.cmdline()) or worker.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
