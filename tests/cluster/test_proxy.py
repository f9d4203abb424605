"""What nginx does with requests, on stand-ins for instances that say what reached them and fail when they are told to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL

from server.errors import CODES
from tests.cluster.backends import Backend, backends
from tests.cluster.conftest import GENEROUS
from tests.cluster.databases import steady_port
from tests.cluster.proxy import Proxy
from tests.waiting import until

LOGIN = {"Authorization": "Bearer somebody's"}
KEYED = {**LOGIN, "Idempotency-Key": "once"}


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[list[Backend]]:
    async with backends(2) as made:
        yield made


@pytest.fixture(scope="module")
async def edge(pair: list[Backend], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    """nginx before both."""
    instances = {backend.name: backend.url for backend in pair}
    async with Proxy(tmp_path_factory.mktemp("edge"), instances, settings=GENEROUS) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
async def well(pair: list[Backend], edge: Proxy) -> None:
    """Both work, nginx takes them to, and nobody remembers anything."""
    if any(backend.mood != "well" for backend in pair):
        await edge.reload()  # or nginx would avoid for seconds who failed in the test before
    for backend in pair:
        backend.mood = "well"

    async def used() -> bool:
        names = [(await ask(http, edge, "/api/v1/any"))["headers"].get("X-Backend") for _ in range(8)]
        return set(names) == {backend.name for backend in pair}

    async with aiohttp.ClientSession() as http:
        await until(used)
    for backend in pair:
        backend.seen.clear()


async def ask(http: aiohttp.ClientSession, proxy: Proxy, path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    """Status, headers, and the body if it is JSON."""
    async with http.request(method, URL(proxy.plain + path, encoded=True), allow_redirects=False, **more) as answer:
        body = await answer.json(content_type=None) if "json" in answer.content_type else await answer.text()
        if isinstance(body, dict) and "headers" in body:
            body["headers"] = CIMultiDict(body["headers"])
        return {"status": answer.status, "headers": answer.headers, "body": body}


def problem(answer: dict[str, Any], status: int, code: str) -> None:
    """Check that it is this problem, whole and in the form of the API's."""
    body, headers = answer["body"], answer["headers"]
    assert (answer["status"], headers["Content-Type"].split(";")[0]) == (status, "application/problem+json"), answer
    assert (body["status"], body["code"], body["retryable"]) == (status, code, CODES[code].retryable)
    assert body["type"] == "urn:rialto:problem:" + code.lower().replace("_", "-")
    assert body["title"] == CODES[code].title
    assert body["detail"]
    assert body["request_id"] == headers["X-Request-Id"]
    assert ("Retry-After" in headers) is CODES[code].retryable
    assert headers["Cache-Control"] == "no-store"


def seen(pair: list[Backend]) -> int:
    return sum(backend.seen.total() for backend in pair)


async def test_the_configuration_is_valid(edge: Proxy) -> None:
    code, said = await edge.check()
    assert code == 0, said
    assert "warn" not in said, said
    assert "test is successful" in said


async def test_a_certificate_is_made_once_and_its_key_is_secret(tmp_path: Path) -> None:
    proxy = Proxy(
        tmp_path, {"rialto-1": "http://127.0.0.1:1"}, settings={"NGINX_NAMES": "localhost ::1 market.example"}
    )
    seen = set()
    for _ in range(2):
        code, said = await proxy.check()
        assert code == 0, said
        seen.add(proxy.certificate.read_bytes())
    assert len(seen) == 1
    assert (tmp_path / "tls" / "key.pem").stat().st_mode & 0o077 == 0
    (certificate,) = proxy.trust.get_ca_certs()
    names = {value for kind, value in certificate["subjectAltName"]}
    assert names == {"localhost", "market.example", "0:0:0:0:0:0:0:1"}


@pytest.mark.parametrize(
    "setting", [{"RIALTO_INSTANCES": ""}, {"RIALTO_INSTANCES": "Rialto_1=x:1"}, {"NGINX_PLAIN": "x"}]
)
async def test_a_place_that_makes_no_sense_is_refused(edge: Proxy, tmp_path: Path, setting: dict[str, str]) -> None:
    code, said = await Proxy(tmp_path, {"rialto-1": "http://127.0.0.1:1"}, settings=setting).check()
    assert code == 2, said
    assert next(iter(setting)) in said


class TestHeaders:
    async def test_say_who_asks_and_not_what_he_says_of_himself(self, edge: Proxy, http: aiohttp.ClientSession) -> None:
        lies = {
            "X-Forwarded-For": "6.6.6.6",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "gopher",
            "X-Forwarded-Port": "1",
            "X-Real-IP": "6.6.6.6",
            "Forwarded": "for=6.6.6.6",
        }
        sent = (await ask(http, edge, "/api/v1/any", headers=lies))["body"]["headers"]
        assert sent["X-Forwarded-For"] == "127.0.0.1"
        assert sent["X-Forwarded-Proto"] == "http"
        assert sent["X-Forwarded-Host"] == sent["Host"] == URL(edge.plain).authority
        assert not {"X-Forwarded-Port", "X-Real-IP", "Forwarded"} & set(sent)
        async with http.get(f"{edge.url}/api/v1/any", ssl=edge.trust, headers=lies) as answer:
            sent = (await answer.json())["headers"]
        assert sent["X-Forwarded-Proto"] == "https"
        assert sent["X-Forwarded-Host"] == URL(edge.url).authority

    async def test_of_a_trusted_proxy_are_believed(
        self, pair: list[Backend], http: aiohttp.ClientSession, tmp_path: Path
    ) -> None:
        settings = {**GENEROUS, "NGINX_TRUSTED": "127.0.0.1 10.0.0.0/8"}
        async with Proxy(tmp_path, {pair[0].name: pair[0].url}, settings=settings) as proxy:
            headers = {"X-Forwarded-For": "6.6.6.6, 9.9.9.9, 10.1.2.3"}
            sent = (await ask(http, proxy, "/api/v1/any", headers=headers))["body"]["headers"]
        assert sent["X-Forwarded-For"] == "9.9.9.9"

    @pytest.mark.parametrize("given", ["my-own-request-id", "a.b:c_d-1"])
    async def test_keep_a_sane_request_id(self, edge: Proxy, http: aiohttp.ClientSession, given: str) -> None:
        answer = await ask(http, edge, "/api/v1/any", headers={"X-Request-Id": given})
        assert answer["body"]["headers"]["X-Request-Id"] == answer["headers"]["X-Request-Id"] == given
        assert (await edge.logged(given))["path"] == "/api/v1/any"

    @pytest.mark.parametrize("given", [None, "short", "x" * 129, 'a"b\\c{d}efgh', "with spaces in it"])
    async def test_get_a_new_request_id(self, edge: Proxy, http: aiohttp.ClientSession, given: str | None) -> None:
        answer = await ask(http, edge, "/api/v1/any", headers={"X-Request-Id": given} if given else {})
        made = answer["headers"]["X-Request-Id"]
        assert answer["headers"].getall("X-Request-Id") == [made]
        assert made != given
        assert len(made) == 32
        assert answer["body"]["headers"]["X-Request-Id"] == made

    async def test_upgrade_sockets_and_nothing_else(self, edge: Proxy, http: aiohttp.ClientSession) -> None:
        wish = {"Connection": "upgrade", "Upgrade": "websocket"}
        sent = (await ask(http, edge, "/socket.io/?EIO=4", headers=wish))["body"]["headers"]
        assert (sent["Upgrade"], sent["Connection"]) == ("websocket", "upgrade")
        for path, upgrade in (("/api/v1/any", "websocket"), ("/socket.io/?EIO=4", "h2c")):
            sent = (await ask(http, edge, path, headers={**wish, "Upgrade": upgrade}))["body"]["headers"]
            assert "Upgrade" not in sent
            assert sent.get("Connection", "") != "upgrade"

    async def test_tell_no_version(self, edge: Proxy, http: aiohttp.ClientSession) -> None:
        for path in ("/robots.txt", "/.problem", "/metrics"):
            assert (await ask(http, edge, path))["headers"]["Server"] == "nginx"


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            *("/metrics", "/metrics/", "//metrics", "/metrics?x", "/%6detrics", "/%6Detrics", "/api/../metrics"),
            *("/api/%2e%2e/metrics", "/api/..%2fmetrics", "/health", "/health/", "/health/live/x", "/health/details"),
            *("/api", "/.problem", "/unavailable.html", "/admin", "/admin/x", "/x/../metrics", "/assets/../metrics"),
        ],
    )
    async def test_that_stay_inside(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession, path: str
    ) -> None:
        problem(await ask(http, edge, path), 404, "NOT_FOUND")
        assert seen(pair) == 0

    @pytest.mark.parametrize("path", ["/api/v1/any", "/api/health", "/health/live", "/health/ready", "/api/docs"])
    async def test_that_lead_to_instances(self, edge: Proxy, http: aiohttp.ClientSession, path: str) -> None:
        assert (await ask(http, edge, path))["body"]["path"] == path

    async def test_reach_instances_as_they_were_written(self, edge: Proxy, http: aiohttp.ClientSession) -> None:
        path = "/api/v1/streams/auction%3Aa%2Fb/events?after=%31&x=a%20b"
        assert (await ask(http, edge, path))["body"]["path"] == path

    @pytest.mark.parametrize(
        "path", ["/", "/jobs/1?x=%20", "/assets/a-1.js", "/nginx.conf", "/tls/key.pem", "/healthy"]
    )
    async def test_of_the_app_lead_to_instances(self, edge: Proxy, http: aiohttp.ClientSession, path: str) -> None:
        assert (await ask(http, edge, path))["body"]["path"] == path

    async def test_to_what_is_here(self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession) -> None:
        answer = await ask(http, edge, "/robots.txt")
        assert "Disallow: /api/" in answer["body"]
        assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
        problem(await ask(http, edge, "/robots.txt", "POST", data="x"), 405, "METHOD_NOT_ALLOWED")
        assert seen(pair) == 0

    async def test_without_tls_lead_to_tls(
        self, pair: list[Backend], http: aiohttp.ClientSession, tmp_path: Path
    ) -> None:
        async with Proxy(tmp_path, {pair[0].name: pair[0].url}) as proxy:
            answer = await ask(http, proxy, "/api/v1/any?a=b", "POST", data="x")
        assert (answer["status"], answer["headers"]["Location"]) == (308, "https://127.0.0.1/api/v1/any?a=b")
        assert seen(pair) == 0


class TestAnotherInstance:
    """What is sent again when an instance dies over it."""

    @pytest.mark.parametrize(
        ("method", "headers", "path"),
        [
            *(("GET", {}, "/api/v1/any"), ("GET", LOGIN, "/api/v1/jobs"), ("GET", {}, "/api/v1/streams/a/events")),
            *(("POST", KEYED, "/api/v1/any"), ("PATCH", KEYED, "/api/v1/jobs/1"), ("POST", KEYED, "/api/v1/jobs")),
            ("GET", {}, "/socket.io/?EIO=4&transport=polling"),
        ],
    )
    @pytest.mark.parametrize("mood", ["dying", "busy"])
    async def test_is_asked(
        self,
        pair: list[Backend],
        edge: Proxy,
        http: aiohttp.ClientSession,
        mood: str,
        method: str,
        headers: dict[str, str],
        path: str,
    ) -> None:
        pair[0].mood = mood
        body = {"data": b"x" * 200_000} if method != "GET" else {}
        for _ in range(4):
            answer = await ask(http, edge, path, method, headers=headers, **body)
            assert (answer["status"], answer["headers"]["X-Backend"]) == (200, pair[1].name), answer
        assert pair[0].seen.total() >= 1

    @pytest.mark.parametrize(
        ("method", "headers", "path"),
        [
            ("POST", {}, "/api/v1/any"),
            ("POST", LOGIN, "/api/v1/any"),
            ("PATCH", {}, "/api/v1/any"),
            ("POST", {"Idempotency-Key": "once"}, "/api/v1/any"),  # a key means nothing without an account
            ("POST", {"Idempotency-Key": "", **LOGIN}, "/api/v1/any"),
            ("POST", KEYED, "/api/v1/auth/refresh"),
            ("POST", KEYED, "/socket.io/?EIO=4&transport=polling"),
        ],
    )
    async def test_is_not_asked(
        self,
        pair: list[Backend],
        edge: Proxy,
        http: aiohttp.ClientSession,
        method: str,
        headers: dict[str, str],
        path: str,
    ) -> None:
        for backend in pair:
            backend.mood = "dying"
        problem(await ask(http, edge, path, method, headers=headers, data="x"), 502, "UNAVAILABLE")
        assert seen(pair) == 1

    @pytest.mark.parametrize("sid", ["rialto-1.abc", "rialto-2.abc"])
    async def test_is_never_asked_for_a_session(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession, sid: str
    ) -> None:
        path = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
        owner = next(backend for backend in pair if sid.startswith(backend.name))
        for method in ("GET", "POST"):
            assert (await ask(http, edge, path, method))["headers"]["X-Backend"] == owner.name
        owner.mood = "dying"
        for method in ("GET", "POST"):
            problem(await ask(http, edge, path, method), 502, "UNAVAILABLE")
        assert owner.seen.total() == seen(pair)
        assert owner.seen[f"POST {path}"] == 2

    async def test_says_itself_that_it_cannot(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession
    ) -> None:
        for backend in pair:
            backend.mood = "busy"
        answer = await ask(http, edge, "/api/v1/any", "POST", data="x")
        assert (answer["status"], answer["body"]) == (503, {"code": "UNAVAILABLE"})
        assert seen(pair) == 1

    @pytest.mark.parametrize(
        "sid", ["", "&sid=", "&sid=rialto-3.abc", "&sid=rialto-10.abc", "&sid=abc", "&sid=.rialto-1."]
    )
    async def test_takes_sessions_that_nobody_is_known_for(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession, sid: str
    ) -> None:
        names = Counter([(await ask(http, edge, f"/socket.io/?EIO=4{sid}"))["headers"]["X-Backend"] for _ in range(8)])
        assert set(names) == {backend.name for backend in pair}

    async def test_knows_a_newer_file_of_the_app(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession
    ) -> None:
        pair[0].mood = "old"
        for number in range(8):
            answer = await ask(http, edge, f"/assets/new-{number}.js")
            assert (answer["status"], answer["headers"]["X-Backend"]) == (200, pair[1].name)
        assert pair[0].seen.total() >= 1
        used = {(await ask(http, edge, "/api/v1/any"))["headers"]["X-Backend"] for _ in range(8)}
        assert used == {backend.name for backend in pair}
        pair[1].mood = "old"
        assert (await ask(http, edge, "/assets/none.js"))["status"] == 404

    @pytest.mark.parametrize("path", ["/", "/jobs/1"])
    async def test_is_what_a_page_waits_for(self, http: aiohttp.ClientSession, tmp_path: Path, path: str) -> None:
        async with Proxy(tmp_path, {"rialto-1": f"http://127.0.0.1:{steady_port()}"}, settings=GENEROUS) as proxy:
            page = await ask(http, proxy, path)
            style = await ask(http, proxy, "/unavailable.css")
        assert (page["status"], page["headers"]["Content-Type"]) == (503, "text/html; charset=utf-8")
        assert (page["headers"]["Retry-After"], page["headers"]["Cache-Control"]) == ("5", "no-store")
        assert "default-src 'none'" in page["headers"]["Content-Security-Policy"]
        assert '<meta http-equiv="refresh" content="5">' in page["body"]
        assert style["status"] == 200

    async def test_is_there_when_none_is(self, http: aiohttp.ClientSession, tmp_path: Path) -> None:
        gone = {"rialto-1": f"http://127.0.0.1:{steady_port()}", "rialto-2": f"http://127.0.0.1:{steady_port()}"}
        async with Proxy(tmp_path, gone, settings=GENEROUS) as proxy:
            for path in ("/api/v1/any", "/socket.io/?EIO=4", "/socket.io/?sid=rialto-1.x", "/api/v1/jobs"):
                problem(await ask(http, proxy, path), 502, "UNAVAILABLE")
            problem(await ask(http, proxy, "/api/v1/any", "POST", headers=KEYED, data="x"), 502, "UNAVAILABLE")


class TestMicroCache:
    async def test_answers_anonymous_crowds(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession
    ) -> None:
        first = await ask(http, edge, "/api/v1/jobs?crowd")
        assert first["headers"]["X-Cache"] == "MISS"
        answers = await asyncio.gather(*(ask(http, edge, "/api/v1/jobs?crowd") for _ in range(200)))
        assert {answer["status"] for answer in answers} == {200}
        states = Counter(answer["headers"]["X-Cache"] for answer in answers)
        assert states["HIT"] > 100, states
        assert seen(pair) < 20
        assert len({answer["headers"]["X-Request-Id"] for answer in answers}) == 200

    async def test_lets_one_fetch_for_all(self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession) -> None:
        asking = [asyncio.create_task(ask(http, edge, "/api/v1/jobs?cold")) for _ in range(50)]
        answers = await asyncio.gather(*asking)
        assert {answer["status"] for answer in answers} == {200}
        assert seen(pair) <= 5

    @pytest.mark.parametrize(
        ("path", "headers"),
        [
            ("/api/v1/jobs?login", LOGIN),
            ("/api/v1/jobs/1", {"Cookie": "a=b"}),
            ("/api/v1/jobs?private", {}),
            ("/api/v1/jobs?cookie", {}),
            ("/api/v1/any", {}),
            ("/api/v1/jobs/1/bids", {}),
            ("/api/v1/streams/a/events", {}),
        ],
    )
    async def test_keeps_nothing_of(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession, path: str, headers: dict[str, str]
    ) -> None:
        for _ in range(3):
            answer = await ask(http, edge, path, headers=headers)
            assert answer["headers"].get("X-Cache", "") in ("", "MISS", "BYPASS")
        assert seen(pair) == 3

    async def test_does_not_answer_who_is_known(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession
    ) -> None:
        await ask(http, edge, "/api/v1/jobs?known")
        for headers in (LOGIN, {"Cookie": "a=b"}):
            answer = await ask(http, edge, "/api/v1/jobs?known", headers=headers)
            assert answer["headers"]["X-Cache"] == "BYPASS"
        assert seen(pair) == 3
        assert (await ask(http, edge, "/api/v1/jobs?known", "POST", data="x"))["status"] == 200
        assert seen(pair) == 4

    async def test_answers_while_it_asks_again(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession
    ) -> None:
        async def state() -> str:
            return str((await ask(http, edge, "/api/v1/jobs?often"))["headers"]["X-Cache"])

        async def old() -> bool:
            return await state() in ("STALE", "UPDATING")

        async def new() -> bool:
            return await state() == "HIT"

        await until(old)
        await until(new)
        assert seen(pair) >= 2

    async def test_keeps_the_apps_files_in_each_form(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession
    ) -> None:
        for coding in ("br", "gzip", "identity"):
            states = []
            for _ in range(3):
                answer = await ask(http, edge, "/assets/b-1.js", headers={"Accept-Encoding": coding})
                assert answer["body"]["headers"]["Accept-Encoding"] == coding
                states.append(answer["headers"]["X-Cache"])
            assert states == ["MISS", "HIT", "HIT"]
        assert seen(pair) == 3

    async def test_heeds_vary(self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession) -> None:
        for origin in ("https://a.example", "https://b.example", "https://a.example", "https://b.example"):
            answer = await ask(http, edge, "/api/v1/jobs?vary", headers={"Origin": origin})
            assert answer["body"]["headers"]["Origin"] == origin
        assert seen(pair) < 4


class TestCompression:
    async def test_is_done_here(self, edge: Proxy, http: aiohttp.ClientSession) -> None:
        for path in ("/api/v1/any", "/api/v1/jobs?gzip", "/api/v1/streams/a"):
            answer = await ask(http, edge, path, headers={"Accept-Encoding": "gzip"})
            assert answer["headers"]["Content-Encoding"] == "gzip", path
            assert "Accept-Encoding" not in answer["body"]["headers"]

    async def test_of_the_apps_files_is_the_instances(self, edge: Proxy, http: aiohttp.ClientSession) -> None:
        for path in ("/", "/jobs/1", "/assets/a-2.js"):
            answer = await ask(http, edge, path, headers={"Accept-Encoding": "gzip, br"})
            assert answer["body"]["headers"]["Accept-Encoding"] == "gzip, br"

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_is_not_done_against_ones_will(self, edge: Proxy, http: aiohttp.ClientSession, method: str) -> None:
        for headers in ({"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip", "X-No-Compression": "1"}):
            for path in ("/api/v1/any", "/api/v1/jobs?gzip", "/api/v1/streams/a"):
                answer = await ask(http, edge, path, method, headers={**headers, **KEYED})
                assert "Content-Encoding" not in answer["headers"], path


class TestLimits:
    @pytest.mark.parametrize("headers", [{}, KEYED])
    async def test_of_bodies(
        self, pair: list[Backend], edge: Proxy, http: aiohttp.ClientSession, headers: dict[str, str]
    ) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"x" * 100_000

        for path in ("/api/v1/any", "/socket.io/?sid=rialto-1.x"):
            largest = await ask(http, edge, path, "POST", headers=headers, data=b"x" * 1_000_000)
            assert largest["status"] == 200
            for body in (b"x" * 1_000_001, chunks()):
                problem(await ask(http, edge, path, "POST", headers=headers, data=body), 413, "TOO_LARGE")
        assert seen(pair) == 2

    async def test_of_headers(self, edge: Proxy, http: aiohttp.ClientSession) -> None:
        problem(await ask(http, edge, "/api/v1/any", headers={"X-Long": "x" * 9_000}), 431, "BAD_REQUEST")
        problem(await ask(http, edge, "/api/v1/any?" + "x" * 9_000), 414, "BAD_REQUEST")

    async def test_of_what_is_http(self, edge: Proxy) -> None:
        url = URL(edge.plain)
        for request in (b"GET /api/v1/any HTTP/1.1\r\n\r\n", b"NOISE\r\n\r\n", b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"):
            reader, writer = await asyncio.open_connection(url.host, url.port)
            writer.write(request)
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
            assert b"application/problem+json" in head, head
            assert b'"request_id":"' in body

    async def test_of_requests(self, pair: list[Backend], http: aiohttp.ClientSession, tmp_path: Path) -> None:
        settings = {"NGINX_PLAIN": "serve", "NGINX_REQUESTS": "3", "NGINX_LOGINS": "1"}
        async with Proxy(tmp_path, {pair[0].name: pair[0].url}, settings=settings) as proxy:
            for number, path in enumerate(("/api/v1/auth/login", "/api/v1/any", "/socket.io/?EIO=4", "/")):
                connector = aiohttp.TCPConnector(limit=0, local_addr=(f"127.0.0.{number + 2}", 0))
                async with aiohttp.ClientSession(connector=connector) as somebody:
                    answers = await asyncio.gather(*(ask(somebody, proxy, path) for _ in range(40)))
                refused = [answer for answer in answers if answer["status"] != 200]
                assert (1, 6)[number > 0] <= 40 - len(refused) < 20, path
                for answer in refused:
                    problem(answer, 429, "RATE_LIMITED")
                    assert answer["body"]["details"] == {"retry_after_ms": 1000}

    async def test_of_connections(self, pair: list[Backend], http: aiohttp.ClientSession, tmp_path: Path) -> None:
        settings = {**GENEROUS, "NGINX_CONNECTIONS": "2"}
        backend = pair[0]
        backend.release.clear()
        async with Proxy(tmp_path, {backend.name: backend.url}, settings=settings) as proxy:

            async def taken() -> dict[str, Any] | None:
                answer = await ask(http, proxy, "/api/v1/jobs/held", headers=LOGIN)
                return None if answer["status"] == 429 else answer  # nginx may still count one that was answered

            held = [asyncio.create_task(until(taken)) for _ in range(2)]
            await until(lambda: backend.held == 2)
            problem(await ask(http, proxy, "/api/v1/any"), 429, "RATE_LIMITED")
            backend.release.set()
            assert {answer["status"] for answer in await asyncio.gather(*held)} == {200}


async def test_the_log_tells_all_but_secrets(edge: Proxy, http: aiohttp.ClientSession) -> None:
    headers = {"User-Agent": 'a "quoted" agent', "X-Request-Id": "to-be-logged"}
    await ask(http, edge, "/socket.io/?EIO=4&sid=rialto-1.secret", headers=headers)
    line = await edge.logged("to-be-logged")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/socket.io/", 200)
    assert line["upstream"]
    assert line["upstream_status"] == "200"
    assert line["agent"] == 'a "quoted" agent'
    assert line["seconds"] >= 0
    assert "secret" not in str(line)
