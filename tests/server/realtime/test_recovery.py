"""Connection state recovery: nothing is missed or repeated, and nobody recovers what is not theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from pymongo.errors import AutoReconnect

from models.rules.stream import Command
from server.auth.principal import Principal
from server.errors import AppError
from server.realtime.recovery import Recovery
from server.realtime.seals import STREAMS, label
from server.streams.kinds import StreamKind
from server.streams.store import StoreUnavailable
from server.web.asyncapi import describe
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.returning import Returning
from tests.server.realtime.wire import Closed
from tests.server.streams.tally import TallyRules
from tests.waiting import until


@pytest.fixture
def members() -> set[str]:
    """Who may read streams of the kind `club`."""
    return {"ann", "bob"}


@pytest.fixture
async def open_recovering(open_market: Open, members: set[str]) -> Open:
    """As `open_market`, with recovery in /market, and clubs."""

    async def club(principal: Principal | None, stream: str) -> None:
        if principal is None or principal.id not in members:
            raise AppError("FORBIDDEN")

    def prepare(market: Market) -> None:
        market.streams.register(StreamKind("club", TallyRules(), authorise=club, guards=("left",)))

    async def start(**settings: Any) -> Market:
        return await open_market(prepare=prepare, socket_recovery=("/market",), **settings)

    return start


@pytest.fixture
async def market(open_recovering: Open) -> Market:
    """An instance where /market can be recovered."""
    return await open_recovering()


def recovery(market: Market) -> Recovery:
    return market.sockets._recovery


def outcomes(outcome: str) -> float:
    """Clients that fared so, until now."""
    labels = {"namespace": "/market", "outcome": outcome}
    return REGISTRY.get_sample_value("socket_recoveries_total", labels) or 0.0


async def at(market: Market, *streams: str, user: str = "ann", transport: str = "websocket") -> Returning:
    """A client that watches streams, each with one event that it knows of."""
    client = await Returning(market.token(user, f"session of {user}")).enter(market, transport)
    for stream in streams:
        await market.add(stream)
        assert (await client.subscribe(stream))["seq"] == 1
    return client


async def gone(market: Market) -> None:
    """Return when the server has noticed that nobody is there."""
    await until(lambda: market.sockets.open_transports == 0)


# the way back


async def test_what_was_missed_follows_and_then_what_is_new(market: Market, transport: str) -> None:
    client = await at(market, "tally:a", "tally:b", transport=transport)
    first = client.sid, client.pid
    await market.add("tally:a")
    assert await client.has("tally:a", 2) == [2]
    await client.leave()
    for _ in range(3):
        await market.add("tally:a")
        await market.add("tally:b")
    before = outcomes("recovered")
    await client.enter(market, transport)
    assert (client.recovered, client.sid, client.pid) == (True, *first)
    assert await client.has("tally:a", 5) == [2, 3, 4, 5]
    assert await client.has("tally:b", 4) == [2, 3, 4]
    await market.add("tally:b")
    assert await client.has("tally:b", 5) == [2, 3, 4, 5]
    assert (await client.command("note", {}))["ok"]
    assert client.order[:4] == ["connect", "events", "events", "offset"]
    assert outcomes("recovered") == before + 1


async def test_every_offset_leads_to_just_what_follows_it(market: Market) -> None:
    client = await at(market, "tally:a", "tally:b")
    seqs = {"tally:a": 1, "tally:b": 1}
    for number in range(20):
        stream = "tally:a" if number % 3 else "tally:b"
        await market.streams.append(stream, _pair())
        seqs[stream] += 2
        await client.has(stream, seqs[stream])
    await client.subscribe("tally:a", after=3)
    await market.add("tally:a")
    await client.has("tally:a", 28)
    await client.has("tally:b", 15)
    await client.leave()
    whole = {stream: [seq for name, seq in client.seen if name == stream] for stream in ("tally:a", "tally:b")}
    two = client.offsets[2:]  # since both were watched
    assert len(two) > 20
    for offset, seen in two:
        heir = Returning(client.auth["token"])
        heir.pid, heir.offset = client.pid, offset
        heir.seen = client.seen[:seen]
        await heir.enter(market)
        assert heir.recovered
        last = {stream: max([1, *(seq for name, seq in heir.seen if name == stream)]) for stream in whole}
        count = len(heir.seen)
        await heir.until("offset")
        told = {stream: [seq for name, seq in heir.seen[count:] if name == stream] for stream in whole}
        assert told["tally:a"] == list(range(last["tally:a"] + 1, 29)), offset
        assert told["tally:b"] == list(range(last["tally:b"] + 1, 16)), offset
        await heir.leave()


async def test_events_while_it_recovers_come_once(market: Market) -> None:
    client = await at(market, "tally:a", "tally:b")
    for _ in range(9):
        await client.leave()
        busy = asyncio.gather(*(market.add(stream) for stream in ("tally:a", "tally:b") * 10))
        await client.enter(market)
        assert client.recovered
        await busy
    for stream in ("tally:a", "tally:b"):
        assert await client.has(stream, 91) == list(range(2, 92))


async def test_the_half_dead_connection_ends(market: Market) -> None:
    """The server has not noticed yet that the former one is gone."""
    client = await at(market, "tally:a")
    former = client.wire
    await client.enter(market)
    assert client.recovered
    assert market.streams.hub.watchers("tally:a") == 1
    await market.add("tally:a")
    assert await client.has("tally:a", 2) == [2]
    while (packet := await former.receive()) != "41/market,":
        assert packet[:2] == "42"
    with pytest.raises(Closed):  # it is in no namespace any more
        await former.command("note", {})


async def test_a_namespace_entered_again_on_the_same_transport(market: Market) -> None:
    client = await at(market, "tally:a")
    await client.wire.send("41/market,")
    await market.add("tally:a")
    former = client.pid
    await client.wire.connect("/market", client.sent)
    assert await client.has("tally:a", 2) == [2]
    await market.add("tally:a")
    assert await client.has("tally:a", 3) == [2, 3]
    assert client.pid == former


async def test_an_anonymous_client_recovers(market: Market) -> None:
    await market.add("tally:a")
    client = await Returning().enter(market)
    await client.subscribe("tally:a")
    await client.leave()
    await market.add("tally:a")
    await client.enter(market)
    assert client.recovered
    assert await client.has("tally:a", 2) == [2]


async def test_another_login_of_the_same_user_recovers(market: Market) -> None:
    client = await at(market, "own:ann")
    await client.leave()
    client.auth["token"] = market.token("ann", "another session")
    await market.add("own:ann")
    await client.enter(market)
    assert client.recovered
    assert await client.has("own:ann", 2) == [2]
    assert market.sockets.close_session("another session") == 1


async def test_names_of_streams_may_be_anything(market: Market) -> None:
    stream = 'tally:ä;=%3B"\\!'
    client = await at(market, stream)
    await client.leave()
    await market.add(stream)
    await client.enter(market)
    assert client.recovered
    assert await client.has(stream, 2) == [2]


# offsets


async def test_the_offset_comes_before_the_ack(market: Market) -> None:
    client = await at(market)
    await market.add("tally:a")
    await market.add("tally:b")
    await client.until("connect", "offset")
    await client.subscribe("tally:a")
    assert client.order[-2:] == ["offset", "ack"]
    await client.subscribe("tally:b", after=0)
    assert client.order[-2:] == ["offset", "ack"]
    both = client.offset
    await client.command("unsubscribe", {"stream": "tally:a"})
    assert client.order[-2:] == ["offset", "ack"]
    await client.command("unsubscribe", {"stream": "tally:a"})
    assert client.order[-2:] == ["ack", "ack"]
    seals = recovery(market).seals
    assert seals.read(both, client.sid)[1] == {"tally:a": 1, "tally:b": 1}
    assert seals.read(client.offset, client.sid)[1] == {"tally:b": 1}


async def test_what_was_left_is_not_watched_again(market: Market) -> None:
    client = await at(market, "tally:a", "tally:b")
    await client.command("unsubscribe", {"stream": "tally:a"})
    await client.leave()
    await gone(market)
    await market.add("tally:a")
    await market.add("tally:b")
    await client.enter(market)
    assert await client.has("tally:b", 2) == [2]
    assert market.streams.hub.watchers("tally:a") == 0
    assert ("tally:a", 2) not in client.seen


async def test_a_page_that_was_not_the_last_attaches_nothing(market: Market) -> None:
    client = await at(market, "tally:a")
    for _ in range(600):
        await market.streams.append("tally:b", _pair())
    page = await client.subscribe("tally:b", after=0)
    assert page["more"]
    await client.leave()
    await client.enter(market)
    assert client.recovered
    assert recovery(market).seals.read(client.offset, client.sid)[1] == {"tally:a": 1}


async def test_a_quiet_client_is_told_now_and_then(open_recovering: Open) -> None:
    market = await open_recovering(socket_recovery_s=0.3)
    client = await at(market, "tally:a")
    await client.until("offset", "offset", "offset", "offset")
    times = [recovery(market).seals.read(offset, client.sid)[0] for offset, _ in client.offsets]
    assert times == sorted(times)
    while recovery(market).seals.read(client.offset, client.sid)[0] == times[0]:
        await client.take()
    await client.leave()
    await gone(market)
    assert not recovery(market)._connections
    assert not len(recovery(market)._refreshes)


# who does not ask for it


@pytest.mark.parametrize("auth", [{}, {"recover": False}, {"recover": "yes"}, {"recover": 1}, {"recover": None}])
async def test_who_does_not_ask_is_sent_nothing_of_it(market: Market, auth: dict[str, Any]) -> None:
    await market.add("tally:a")
    wire = await market.member(auth=auth)
    again = await wire.connect("/market", {"pid": "x.y", "offset": "x.y", **auth})
    assert set(again) == {"sid"}
    await wire.command("subscribe", {"stream": "tally:a"})
    await market.add("tally:a")
    assert await wire.take() == ("42", "/market", ["events", await _batch(market, 2)])


async def test_where_it_is_not_allowed_nobody_gets_it(market: Market) -> None:
    wire = await market.wire()
    assert set(await wire.connect("/members", {"token": market.token(), "recover": True})) == {"sid"}


async def test_by_default_nobody_gets_it(open_market: Open) -> None:
    market = await open_market()
    wire = await market.wire()
    assert set(await wire.connect("/market", {"recover": True})) == {"sid"}


async def test_it_shows_in_the_namespace_that_has_it(market: Market) -> None:
    document = describe(market.sockets, "1")
    offset = document["channels"]["market"]["messages"]["emitted.offset"]
    assert document["components"]["schemas"][offset["payload"]["$ref"].rpartition("/")[2]]["type"] == "string"
    assert "emitted.offset" not in document["channels"]["members"]["messages"]


async def test_a_namespace_that_is_not_there_is_a_mistake(open_market: Open) -> None:
    with pytest.raises(ValueError, match="/chatt"):
        await open_market(socket_recovery=("/market", "/chatt"))


# who begins anew


async def begins_anew(market: Market, client: Returning) -> None:
    """Asserts that the client comes back as somebody new, who watches nothing and can go on."""
    former = client.sid, client.pid
    await client.enter(market)
    assert not client.recovered
    assert client.sid not in former
    assert client.pid not in former
    assert not any(
        peer.watching for peer in market.sockets._peers.values() if peer.session.sid == client.wire.opening["sid"]
    )
    count = len(client.seen)
    await market.add("tally:new")
    assert (await client.subscribe("tally:new", after=0))["ok"]
    assert client.seen[count:] == [("tally:new", 1)]


Forge = Callable[[Market, Returning, Returning], None]


def _swap(market: Market, ann: Returning, bob: Returning) -> None:
    bob.pid, bob.offset = ann.pid, ann.offset


def _only_pid(market: Market, ann: Returning, bob: Returning) -> None:
    bob.pid = ann.pid


def _only_offset(market: Market, ann: Returning, bob: Returning) -> None:
    bob.offset = ann.offset


def _later(market: Market, ann: Returning, bob: Returning) -> None:
    seal, _, body = bob.offset.partition(".")
    bob.offset = f"{seal}.{body[:-1]}0"


def _one_more_stream(market: Market, ann: Returning, bob: Returning) -> None:
    bob.offset += ";own:ann=1"


def _another_sid(market: Market, ann: Returning, bob: Returning) -> None:
    bob.pid = f"{ann.sid}.{bob.pid.partition('.')[2]}"


def _beyond_the_end(market: Market, ann: Returning, bob: Returning) -> None:
    bob.offset = recovery(market).seals.offset(bob.sid, {label("tally:b"): 99}, market.clock.now() // 1000).decode()


def _not_its_stream(market: Market, ann: Returning, bob: Returning) -> None:
    """As if the seals had been broken."""
    seqs = {label("tally:b"): 1, label("own:ann"): 1}
    bob.offset = recovery(market).seals.offset(bob.sid, seqs, market.clock.now() // 1000).decode()


def _nobodys_stream(market: Market, ann: Returning, bob: Returning) -> None:
    seqs = {label("tally:b"): 1, label("hidden:x"): 1}
    bob.offset = recovery(market).seals.offset(bob.sid, seqs, market.clock.now() // 1000).decode()


def _no_such_stream(market: Market, ann: Returning, bob: Returning) -> None:
    seqs = {label("tally:b"): 1, label("tally:nothing"): 1}
    bob.offset = recovery(market).seals.offset(bob.sid, seqs, market.clock.now() // 1000).decode()


def _too_late(market: Market, ann: Returning, bob: Returning) -> None:
    long_ago = market.clock.now() // 1000 - 1_000
    bob.offset = recovery(market).seals.offset(bob.sid, {label("tally:b"): 1}, long_ago).decode()


def _another_namespace(market: Market, ann: Returning, bob: Returning) -> None:
    bob.pid = recovery(market).seals.pid("/members", "bob", bob.sid)


def _anonymous(market: Market, ann: Returning, bob: Returning) -> None:
    del bob.auth["token"]


def _from_anonymous(market: Market, ann: Returning, bob: Returning) -> None:
    bob.pid = recovery(market).seals.pid("/market", None, bob.sid)


@pytest.mark.parametrize(
    "forge",
    [
        _swap, _only_pid, _only_offset, _later, _one_more_stream, _another_sid, _beyond_the_end, _not_its_stream,
        _nobodys_stream, _no_such_stream, _too_late, _another_namespace, _anonymous, _from_anonymous,
    ],
)  # fmt: skip
async def test_who_brings_what_was_not_given_to_them(market: Market, forge: Forge) -> None:
    ann = await at(market, "own:ann", "tally:b")
    bob = await Returning(market.token("bob", "session of bob")).enter(market)
    await bob.subscribe("tally:b")
    await ann.leave()
    await bob.leave()
    await gone(market)
    await market.add("own:ann")
    forge(market, ann, bob)
    await begins_anew(market, bob)
    assert not [stream for stream, _ in bob.seen if stream == "own:ann"]
    await ann.enter(market)
    assert ann.recovered  # whatever others try


@pytest.mark.parametrize("name", ["pid", "offset"])
@pytest.mark.parametrize(
    "value",
    [
        None, True, 7, -1, 1.5, "", ".", "..", "x", "x.y", "é.é", "\x00.\x00", [], ["x"], {}, {"a": 1}, "x" * 900_000,
        ".".join(["0" * 24] * 1_000), "000000000000000000000000.zz;a=1", "000000000000000000000000.0;=;=;=",
    ],
)  # fmt: skip
async def test_rubbish(market: Market, name: str, value: Any) -> None:
    client = await at(market, "tally:a")
    await client.leave()
    setattr(client, name, value)
    client.auth[name] = value  # also where the official client would send none
    await client.enter(market)
    assert not client.recovered
    assert (await client.command("note", {}))["ok"]


async def test_every_bit_of_a_seal_counts(market: Market) -> None:
    seals = recovery(market).seals
    now = market.clock.now() // 1000
    pid, offset = seals.pid("/market", "ann", "sid"), seals.offset("sid", {b"tally:a": 1}, now).decode()
    assert seals.sid(pid, "/market", "ann") == "sid"
    assert seals.read(offset, "sid") == (now, {"tally:a": 1})
    refused = 0
    for text, read in (
        (pid, lambda changed: seals.sid(changed, "/market", "ann")),
        (offset, lambda changed: seals.read(changed, "sid")),
    ):
        for index in range(len(text)):
            for bit in range(7):
                changed = text[:index] + chr(ord(text[index]) ^ (1 << bit)) + text[index + 1 :]
                with pytest.raises(Exception) as error:  # noqa: PT011
                    read(changed)
                assert type(error.value).__name__ == "Broken"
                refused += 1
    assert refused == 7 * (len(pid) + len(offset))


async def test_seals_of_other_secrets_count_for_nothing(market: Market, open_recovering: Open) -> None:
    client = await at(market, "tally:a")
    await client.leave()
    other = Recovery(
        b"k" * 32, market.streams, recovery(market)._watchers, market.clock, recovery(market)._limits,
        limit=9, buffer=9, patience_s=9, window_s=9,
    )  # fmt: skip
    client.pid = other.seals.pid("/market", "ann", client.sid)
    await begins_anew(market, client)


async def test_a_former_offset_counts_for_nothing_on_a_new_connection(market: Market) -> None:
    """The official client keeps its last offset when it is given another pid, until the next one comes."""
    client = await at(market, "tally:a")
    await client.leave()
    stale, client.pid = client.offset, "rubbish"
    await client.enter(market)
    assert not client.recovered
    await client.leave()
    client.offset = stale
    await begins_anew(market, client)


async def test_a_removed_member(market: Market, members: set[str]) -> None:
    client = await at(market, "club:x", "tally:a")
    await client.leave()
    members.remove("ann")
    await market.add("club:x")
    await begins_anew(market, client)
    assert ("club:x", 2) not in client.seen


async def test_who_is_removed_while_connected_recovers_the_rest(market: Market, members: set[str]) -> None:
    client = await at(market, "club:x", "tally:a")
    members.remove("ann")
    await market.streams.append("club:x", _leave())
    await market.add("club:x")
    assert await client.has("club:x", 2) == [2]
    await client.until("events", "offset")
    await client.leave()
    await market.add("tally:a")
    await client.enter(market)
    assert client.recovered
    assert await client.has("tally:a", 2) == [2]
    assert ("club:x", 3) not in client.seen


async def test_a_right_lost_in_the_last_moment(
    market: Market, members: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await at(market, "club:x", "tally:a")
    await client.leave()
    await gone(market)
    subscribe = market.streams.hub.subscribe

    async def subscribe_and_remove(*arguments: Any) -> Any:
        opening = await subscribe(*arguments)
        members.discard("ann")
        return opening

    monkeypatch.setattr(market.streams.hub, "subscribe", subscribe_and_remove)
    await client.enter(market)
    assert not client.recovered
    assert market.streams.hub.watchers("club:x") == market.streams.hub.watchers("tally:a") == 0


async def test_a_right_lost_between_two_streams(market: Market, members: set[str]) -> None:
    """An event that takes the right comes while the other stream is being read."""
    client = await at(market, "club:x", "tally:a")
    await client.leave()
    await gone(market)
    authorise = market.streams.authorise

    async def slowly(principal: Principal | None, stream: str) -> None:
        await authorise(principal, stream)
        if stream == "tally:a" and "ann" in members:
            members.remove("ann")
            await market.streams.append("club:x", _leave())
            await market.add("club:x")

    market.streams.authorise = slowly  # type: ignore[method-assign]
    await client.enter(market)
    assert not client.recovered
    assert ("club:x", 3) not in client.seen
    await until(lambda: market.streams.hub.watchers("club:x") == 0)


async def test_more_streams_than_an_offset_holds(market: Market) -> None:
    streams = [f"tally:{number}" for number in range(STREAMS + 1)]
    client = await at(market, *streams)
    await market.add(streams[0])
    assert await client.has(streams[0], 2) == [2]
    many = client.pid, client.offset
    await client.command("unsubscribe", {"stream": streams[1]})
    await client.leave()
    await market.add(streams[0])
    await client.enter(market)
    assert client.recovered
    assert await client.has(streams[0], 3) == [2, 3]
    await client.leave()
    client.pid, client.offset = many
    await begins_anew(market, client)


async def test_more_streams_than_a_socket_may_watch(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await at(market, "tally:a", "tally:b")
    await client.leave()
    monkeypatch.setattr(recovery(market), "_limit", 1)
    await begins_anew(market, client)


@pytest.mark.parametrize("streams", [1, 2])
async def test_more_events_than_a_page(market: Market, streams: int) -> None:
    names = [f"tally:{number}" for number in range(streams)]
    client = await at(market, *names)
    await client.leave()
    for name in names:
        for _ in range(501 if streams == 1 else 251):
            await market.streams.append(name, _pair())
    await begins_anew(market, client)
    assert not any(market.streams.hub.watchers(name) for name in names)


async def test_more_bytes_than_may_wait_for_a_client(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await at(market, "tally:a")
    await client.leave()
    monkeypatch.setattr(recovery(market), "_page_bytes", 300)
    await market.add("tally:a")
    await client.enter(market)
    assert client.recovered
    await client.until("events", "offset")
    await client.leave()
    for _ in range(3):
        await market.add("tally:a")
    await begins_anew(market, client)


async def test_a_limit_on_subscriptions_holds_for_recovered_ones(open_recovering: Open) -> None:
    market = await open_recovering(rate_limits=True, rate_commands={"subscribe": "4/h"})
    client = await at(market, "tally:a", "tally:b")
    await client.leave()
    await client.enter(market)
    assert client.recovered
    await client.leave()
    before = outcomes("RATE_LIMITED")
    await client.enter(market)
    assert not client.recovered
    assert outcomes("RATE_LIMITED") == before + 1


@pytest.mark.parametrize(
    "error",
    [StoreUnavailable("away"), AppError("UNAVAILABLE"), AppError("NOT_FOUND"), AutoReconnect("an internal name")],
)
async def test_what_cannot_be_read_now_is_not_recovered(
    market: Market, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    client = await at(market, "tally:a", "tally:b")
    await client.leave()
    await gone(market)
    await market.add("tally:b")
    read = market.streams._store.read

    async def fail(stream: str, *arguments: Any) -> Any:
        if stream == "tally:b":
            raise error
        return await read(stream, *arguments)

    monkeypatch.setattr(market.streams._store, "read", fail)
    await begins_anew(market, client)
    assert market.streams.hub.watchers("tally:a") == market.streams.hub.watchers("tally:b") == 0


async def test_what_takes_too_long_is_not_recovered(open_recovering: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    market = await open_recovering(append_timeout_ms=400)
    client = await at(market, "tally:a", "tally:b")
    await client.leave()
    await gone(market)
    authorise = market.streams.authorise

    async def hang(principal: Principal | None, stream: str) -> None:
        if stream == "tally:b":
            await asyncio.Event().wait()
        await authorise(principal, stream)

    monkeypatch.setattr(market.streams, "authorise", hang)
    await begins_anew(market, client)
    assert market.streams.hub.watchers("tally:a") == 0


async def test_a_defect_refuses_and_leaves_nothing_behind(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await at(market, "tally:a")
    await client.leave()
    await gone(market)

    async def fail(*arguments: Any) -> Any:
        raise RuntimeError("an internal name")

    monkeypatch.setattr(market.streams.hub, "subscribe", fail)
    wire = await market.wire()
    assert await wire.connect("/market", client.sent) == {"message": "INTERNAL"}
    assert market.sockets.close_user("ann") == 0
    assert not recovery(market)._connections


@pytest.mark.parametrize("leave", ["drop", "logout"])
async def test_who_leaves_while_it_recovers(market: Market, monkeypatch: pytest.MonkeyPatch, leave: str) -> None:
    client = await at(market, "tally:a")
    await client.leave()
    await gone(market)
    reached, go_on = asyncio.Event(), asyncio.Event()
    subscribe = market.streams.hub.subscribe

    async def wait(*arguments: Any) -> Any:
        reached.set()
        await go_on.wait()
        return await subscribe(*arguments)

    monkeypatch.setattr(market.streams.hub, "subscribe", wait)
    entering = asyncio.create_task(client.enter(market))
    await reached.wait()
    if leave == "drop":
        next(iter(market.sockets._peers.values())).session.end("transport close", abort=True)
    else:
        assert market.sockets.close_user("ann") == 1
    await gone(market)
    go_on.set()
    with pytest.raises(Closed):
        await entering
    await until(lambda: not market.sockets._edge.calls)
    assert market.streams.hub.watchers("tally:a") == 0
    assert not recovery(market)._connections
    assert market.sockets.sessions.users == 0


# who may not come back at all


async def test_a_revoked_session_is_refused(market: Market) -> None:
    client = await at(market, "tally:a")
    await client.leave()
    market.revoked.sessions.add("session of ann")
    wire = await market.wire()
    assert await wire.connect("/market", client.sent) == {"message": "UNAUTHENTICATED"}
    client.auth["token"] = market.token("ann", "a new session")
    await client.enter(market)
    assert client.recovered


async def test_an_expired_token_is_refused(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await at(market, "tally:a")
    await client.leave()
    now = market.clock.now
    monkeypatch.setattr(market.clock, "now", lambda: now() + market.settings.access_token_s * 1000 + 1_000)
    wire = await market.wire()
    assert await wire.connect("/market", client.sent) == {"message": "UNAUTHENTICATED"}


async def test_two_at_once_with_one_pid(market: Market) -> None:
    client = await at(market, "tally:a")
    await client.leave()
    await market.add("tally:a")
    heirs = []
    for _ in range(5):
        heir = Returning(client.auth["token"])
        heir.pid, heir.offset = client.pid, client.offset
        heirs.append(heir)
    await asyncio.gather(*(heir.enter(market) for heir in heirs))
    assert all(heir.recovered and heir.sid == client.sid for heir in heirs)
    assert market.streams.hub.watchers("tally:a") == 1
    await market.add("tally:a")
    ended = 0
    for heir in heirs:
        try:
            await heir.until("disconnect") if await _is_expelled(heir) else await heir.has("tally:a", 3)
        finally:
            ended += "disconnect" in heir.order
        assert [seq for _, seq in heir.seen] in ([2], [2, 3])
    assert ended == 4


# what the tests above are made of


async def _is_expelled(heir: Returning) -> bool:
    """Whether the next news is that another took its place."""
    while "disconnect" not in heir.order and ("tally:a", 3) not in heir.seen:
        await heir.take()
    return "disconnect" in heir.order


def _pair() -> Command:
    return Command("pair", "system", {"n": 0})


def _leave() -> Command:
    return Command("leave", "system", {})


async def _batch(market: Market, seq: int) -> dict[str, Any]:
    event = (await market.streams.read("tally:a", seq - 1, 1))[0]
    return {"stream": "tally:a", "events": [orjson.loads(event.wire)], "seq": seq}
