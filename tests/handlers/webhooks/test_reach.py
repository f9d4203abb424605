"""Where webhooks may lead, and where they can't be led to."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from handlers.webhooks.addresses import is_public
from handlers.webhooks.sender import Outcome, Sender
from handlers.webhooks.targets import Reach, lane_of, normal_url
from tests.handlers.webhooks.conftest import Receiver, never_answers
from tests.waiting import until

PUBLIC = Reach()

PRIVATE_URLS = (
    "https://127.0.0.1/",
    "https://127.0.0.2:8443/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.1./",
    "https://①②⑦.⓪.⓪.①/",
    "https://%31%32%37.0.0.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.0.0.1/",
    "https://192.0.2.1/",
    "https://192.88.99.1/",
    "https://192.168.1.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b::8.8.8.8]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001::1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://a.localhost/",
    "https://%6c%6f%63%61%6c%68%6f%73%74/",
    "https://printer/",
    "https://printer.local/",
    "https://metadata.google.internal/",
)

BAD_URLS = (
    "",
    "x",
    "example.com",
    "//example.com/",
    "https:example.com",
    "https:/example.com/",
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript://example.com/",
    "https://",
    "https:///",
    "https://?",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://@example.com/",
    "https://:@example.com/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com/#fragment",
    "https://example.com/#",
    "https://example.com:22/",
    "https://example.com:25/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:-1/",
    "https://example.com:x/",
    "https://exa mple.com/",
    "https://exa\tmple.com/",
    "https://example.com/\r\nHost: localhost",
    "https://example.com/\x00",
    "https://example.com/\ud800",
    " https://example.com/",
    "https://example.com/ ",
    "https://.example.com/",
    "https://example..com/",
    "https://-example.com/",
    "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 130 + "com/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[::1/",
    "https://1.2.3.4.5/",
    "https://256.1.1.1/",
    "https://example.com/" + "a" * 2_000,
    "https://example.com/" + "ä" * 400,
)


@pytest.mark.parametrize("url", [*PRIVATE_URLS, *BAD_URLS], ids=lambda url: ascii(url)[:40])
def test_urls_that_lead_nowhere_good_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|is not|has no)"):
        normal_url(url, PUBLIC)


@pytest.mark.parametrize(
    ("url", "normal", "lane"),
    [
        ("https://example.com", "https://example.com/", "example.com"),
        ("HTTPS://EXAMPLE.com:443/Path?q=1", "https://example.com/Path?q=1", "example.com"),
        ("https://example.com.:8443/", "https://example.com.:8443/", "example.com"),
        ("https://hooks_1.example.com:80/", "https://hooks_1.example.com:80/", "hooks_1.example.com"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4", "xn--bcher-kva.example"),
        ("https://example.com/a@b?c=@d", "https://example.com/a@b?c=@d", "example.com"),
        ("https://134744072/", "https://8.8.8.8/", "8.8.8.8"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/", "[2606:4700::1111]"),
    ],
)
def test_good_urls_get_their_normal_form(url: str, normal: str, lane: str) -> None:
    assert normal_url(url, PUBLIC) == normal
    assert normal_url(normal, PUBLIC) == normal
    assert lane_of(normal) == lane


def test_settings_widen_the_reach() -> None:
    assert normal_url("http://example.com/", Reach(plain=True)) == "http://example.com/"
    with pytest.raises(ValueError, match="private"):
        normal_url("http://127.0.0.1/", Reach(plain=True))
    for url in ("http://127.0.0.1:8080/", "https://localhost/", "http://[::1]/", "http://printer/"):
        assert normal_url(url, Reach(private=True)) == url
    with pytest.raises(ValueError, match="port"):
        normal_url("http://127.0.0.1:22/", Reach(private=True))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "223.255.255.255", "2606:4700::1111"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", ["", "localhost", "1.1.1", "::1%lo", "2606:4700::1111%eth0", "0x1", "1.1.1.1 "])
def test_what_is_no_address_is_not_public(address: str) -> None:
    assert not is_public(address)


class Names(AbstractResolver):
    """A resolver whose answers change: one list of addresses after the other, the last for ever."""

    def __init__(self, *answers: Iterable[str]) -> None:
        self._answers = [list(answer) for answer in answers]
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in answer
        ]

    async def close(self) -> None:
        pass


async def post(url: str, reach: Reach, resolver: AbstractResolver | None = None, timeout_s: float = 10.0) -> Outcome:
    async with Sender(reach, timeout_s, 4, resolver) as sender:
        return await sender.post(url, {"Rialto-Event": "ping"}, b"{}")


async def test_a_name_that_means_a_private_address_is_not_connected_to(receiver: Receiver) -> None:
    port = receiver.url().split(":")[2].split("/")[0]
    for answer in (["127.0.0.1"], ["::1"], ["10.0.0.1"], ["::ffff:127.0.0.1"], ["127.0.0.1", "127.0.0.2", "::1"]):
        outcome = await post(f"http://innocent.example:{port}/", Reach(plain=True), Names(answer))
        assert (outcome.error, outcome.status) == ("address_refused", None)
    # the same name at the same receiver, where it is allowed
    outcome = await post(f"http://innocent.example:{port}/", Reach(private=True), Names(["127.0.0.1"]))
    assert (outcome.error, outcome.status) == (None, 200)
    assert len(receiver.received) == 1


async def test_the_system_resolver_is_checked_as_well(receiver: Receiver) -> None:
    """`localhost` as a URL that was stored while it was allowed."""
    async with Sender(Reach(private=True), 10.0, 4) as sender:
        assert (await sender.post(receiver.url(host="localhost"), {}, b"{}")).status == 200
        sender._reach = Reach(plain=True)
        assert (await sender.post(receiver.url(host="localhost"), {}, b"{}")).error == "url_refused"
        assert (await sender.post(receiver.url(), {}, b"{}")).error == "url_refused"
    assert len(receiver.received) == 1


async def test_a_name_that_changes_its_meaning_gains_nothing(receiver: Receiver) -> None:
    """Rebinding: whatever was looked up before, each connection is checked by the address that it goes to."""
    port = receiver.url().split(":")[2].split("/")[0]
    names = Names(["192.0.2.1"], ["127.0.0.1"])
    async with Sender(Reach(plain=True), 10.0, 4, names) as sender:
        for _ in range(3):
            assert (await sender.post(f"http://turncoat.example:{port}/", {}, b"{}")).error == "address_refused"
            assert sender._session is not None
            sender._session.connector.clear_dns_cache()  # type: ignore[union-attr]
    assert names.asked == 3
    assert receiver.received == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_failures(receiver: Receiver, other_receiver: Receiver, status: int) -> None:
    receiver.status(status, Location=other_receiver.url())
    outcome = await post(receiver.url(), Reach(private=True))
    assert (outcome.error, outcome.status) == ("redirect", status)
    assert (len(receiver.received), other_receiver.received) == (1, [])


@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (201, None), (204, None), (299, None), (400, "status"), (410, "status"), (503, "status")],
)
async def test_what_is_success(receiver: Receiver, status: int, error: str | None) -> None:
    receiver.status(status)
    outcome = await post(receiver.url(), Reach(private=True))
    assert (outcome.error, outcome.status) == (error, status)


async def test_a_receiver_that_never_answers_is_given_up(receiver: Receiver) -> None:
    receiver.behave, released = never_answers()
    assert (await post(receiver.url(), Reach(private=True), timeout_s=0.2)).error == "timeout"
    released.set()


async def test_nobody_there(closed_port: int) -> None:
    assert (await post(f"http://127.0.0.1:{closed_port}/", Reach(private=True))).error == "unreachable"

    class Nameless(Names):
        async def resolve(self, *_: Any, **__: Any) -> list[ResolveResult]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert (await post("https://nobody.example/", PUBLIC, Nameless([]))).error == "unreachable"


async def test_endless_answers_are_cut_off(receiver: Receiver) -> None:
    written = 0

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"x" * 65_536)
                written += 65_536
        return response

    receiver.behave = pour
    outcome = await post(receiver.url(), Reach(private=True))
    assert (outcome.error, outcome.status) == (None, 200)
    await until(lambda: receiver._at_once == 0)  # it notices that nobody reads on
    assert written < 50_000_000


async def test_an_answer_that_drips_is_not_waited_for(receiver: Receiver) -> None:
    ended = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await ended.wait()
        return response

    receiver.behave = drip
    outcome = await post(receiver.url(), Reach(private=True))
    assert (outcome.error, outcome.status) == (None, 200)
    ended.set()


@asynccontextmanager
async def raw_server(answer: bytes) -> AsyncIterator[int]:
    """The port of a server that answers with these bytes and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(1_000)
            writer.write(answer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "errors"),
    [
        (b"", {"unreachable"}),
        (b"220 mail.example ESMTP\r\n", {"invalid_answer"}),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", {"invalid_answer"}),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", {"status", "unreachable"}),
        (b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", {"status", "invalid_answer"}),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", {None}),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nless", {None}),
    ],
    ids=["nothing", "smtp", "huge head", "upgrade", "999", "not gzip", "short"],
)
async def test_answers_that_are_none(answer: bytes, errors: set[str | None]) -> None:
    async with raw_server(answer) as port:
        outcome = await post(f"http://127.0.0.1:{port}/", Reach(private=True))
    assert outcome.error in errors


async def test_a_server_without_tls_is_not_talked_to_in_clear() -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as port:
        outcome = await post(f"https://127.0.0.1:{port}/", Reach(private=True))
    assert outcome.error == "tls"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = await asyncio.create_subprocess_exec(
        *command, *names, "-keyout", key, "-out", certificate, stderr=asyncio.subprocess.DEVNULL
    )
    assert await made.wait() == 0
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trusted.load_cert_chain(certificate, key)
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            received.append(await reader.read(1_000))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=trusted)
    async with server:
        outcome = await post(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", Reach(private=True))
    assert (outcome.error, outcome.status) == ("tls", None)
    assert not any(received)


async def test_the_environment_names_no_proxy(
    receiver: Receiver, other_receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, other_receiver.url())
    assert (await post(receiver.url(), Reach(private=True))).status == 200
    assert other_receiver.received == []


async def test_cookies_are_not_kept(receiver: Receiver) -> None:
    receiver.status(200, **{"Set-Cookie": "crumb=1"})
    async with Sender(Reach(private=True), 10.0, 4) as sender:
        for _ in range(2):
            await sender.post(receiver.url(), {}, b"{}")
    assert not any("Cookie" in one.headers for one in receiver.received)
