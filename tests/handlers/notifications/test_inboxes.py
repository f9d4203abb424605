"""The inbox as its owner uses it: over sockets and REST, on several devices; and as others don't."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from models.rules.inbox.notices import Notice
from server.realtime.client import LiveSocket, SocketProblem
from server.settings import Settings
from tests.handlers.market import Market, Person, opened
from tests.handlers.notifications.conftest import told
from tests.waiting import until


@pytest.fixture
async def still(settings: Settings) -> AsyncIterator[Market]:
    """A market whose worker does nothing."""
    async with opened(settings, worker=False) as market:
        yield market


class Device:
    """A socket in `/notifications`, and what came over it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.unread: list[int] = []
        self.socket = LiveSocket("/notifications", lambda message: self.events.extend(message["events"]))
        self.socket._client.on(
            "unread", lambda message: self.unread.append(message["unread"]), namespace="/notifications"
        )

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.events]


@asynccontextmanager
async def device(market: Market, who: Person, *, subscribe: bool = True, **fields: Any) -> AsyncIterator[Device]:
    """A device of somebody, subscribed to its own inbox."""
    made = Device()
    await made.socket.connect(str(market.http.make_url("/")), who.token)
    try:
        if subscribe:
            answer = await made.socket.call("subscribe", {"stream": f"user:{who.id}", **fields})
            assert answer["ok"], answer
            made.events += answer["events"]
        yield made
    finally:
        await made.socket.close()


async def tell(market: Market, who: Person, count: int, *, first: int = 1, group: str = "") -> None:
    """So many notifications."""
    notify = market.context.streams.append
    for seq in range(first, first + count):
        notice = Notice(who.id, "won", "auction:a", seq, group, {"number": seq})
        await notify(notice.stream, notice.command())


async def test_an_inbox_is_there_before_anything_is_in_it(still: Market) -> None:
    ann, bob = await still.person(), await still.person()
    assert await still.call("GET", "/notifications", ann) == (200, {"items": [], "unread": 0, "next_cursor": None})
    stream = f"user:{ann.id}"
    async with device(still, ann, subscribe=False) as phone:
        answer = await phone.socket.call("subscribe", {"stream": stream})
        state = {"seq": 1, "unread": 0, "read_to": 0}
        assert answer == {"ok": True, "stream": stream, "seq": 1, "state": state, "events": [], "more": False}
        assert (await phone.socket.call("read", {"seq": 1})) == {"ok": True, "unread": 0}
        await tell(still, ann, 1)
        await until(lambda: phone.seqs == [2])
        assert phone.unread == [1]
    async with device(still, bob, after=0) as phone:
        assert [event["type"] for event in phone.events] == ["opened"]
    cem = await still.person()
    status, page = await still.call("GET", f"/streams/user:{cem.id}/events", cem)
    assert (status, [event["type"] for event in page["events"]]) == (200, ["opened"])
    assert (await still.call("GET", f"/streams/user:{cem.id}", cem))[1]["state"]["unread"] == 0


async def test_reading_on_one_device_clears_the_others(still: Market, settings: Settings) -> None:
    """On two instances, so by way of Redis."""
    ann = await still.person()
    async with opened(settings, worker=False) as other, device(still, ann) as phone, device(other, ann) as desk:
        await tell(still, ann, 3)  # 2, 3, 4
        await until(lambda: phone.unread == desk.unread == [1, 2, 3])
        assert await phone.socket.call("read", {"seq": 3}) == {"ok": True, "unread": 1}
        await until(lambda: desk.unread == phone.unread == [1, 2, 3, 1])
        assert [(event["type"], event.get("up_to")) for event in desk.events[-1:]] == [("read", 3)]
        assert [item["read"] for item in await told(other, ann)] == [False, True, True]
        status, answer = await other.call("POST", "/notifications/read", ann, {"seq": 4})
        assert (status, answer) == (200, {"ok": True, "unread": 0})
        await until(lambda: phone.unread[-1] == desk.unread[-1] == 0)
        for seq in (0, 1, 2, 4, 6):  # back, again, and the events of reading themselves
            assert await desk.socket.call("read", {"seq": seq}) == {"ok": True, "unread": 0}
        assert phone.seqs == desk.seqs == [2, 3, 4, 5, 6]
        await tell(still, ann, 1, first=9)
        await until(lambda: phone.unread[-1] == desk.unread[-1] == 1)
        assert (await still.call("GET", "/notifications", ann))[1]["unread"] == 1


async def test_what_was_missed_comes_in_order_once(still: Market) -> None:
    ann = await still.person()
    await tell(still, ann, 5)
    async with device(still, ann, after=3) as phone:
        assert phone.seqs == [4, 5, 6]
        await asyncio.gather(*(tell(still, ann, 1, first=10 + number) for number in range(20)))
        await until(lambda: len(phone.events) == 23)
        assert phone.seqs == list(range(4, 27))


async def test_server_sent_events(still: Market) -> None:
    ann = await still.person()
    await tell(still, ann, 2)
    headers = {"Authorization": f"Bearer {ann.token}", "Accept": "text/event-stream", "Last-Event-ID": "1"}
    seen: list[dict[str, Any]] = []
    async with still.http.get(f"/api/v1/streams/user:{ann.id}/events", headers=headers) as response:
        assert response.status == 200
        while len(seen) < 3:
            line = await response.content.readline()
            if line.startswith(b"data:"):
                seen.append(orjson.loads(line[5:]))
            if len(seen) == 2:
                await tell(still, ann, 1, first=3)
    assert [(event["seq"], event["type"]) for event in seen] == [(seq, "notification") for seq in (2, 3, 4)]


async def test_pages_go_back_to_the_oldest(still: Market) -> None:
    ann = await still.person()
    await tell(still, ann, 45)
    await still.call("POST", "/notifications/read", ann, {"seq": 20})
    seen: list[int] = []
    for name in ("before", "cursor"):
        seen, path = [], "/notifications"
        while True:
            status, page = await still.call("GET", path, ann)
            assert (status, page["unread"]) == (200, 26)
            seen += [item["seq"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            assert len(page["items"]) == 20
            path = f"/notifications?{name}={page['next_cursor']}"
        assert seen == list(range(46, 1, -1))
    _, page = await still.call("GET", "/notifications?before=5&limit=2", ann)
    assert [(item["seq"], item["type"], item["kind"], item["data"]) for item in page["items"]] == [
        (4, "notification", "won", {"number": 3}),
        (3, "notification", "won", {"number": 2}),
    ]
    for before, count in ((0, 0), (1, 0), (2, 0), (3, 1), (10**9, 20)):
        _, page = await still.call("GET", f"/notifications?before={before}", ann)
        assert len(page["items"]) == count


async def test_what_was_replaced_is_on_no_page(still: Market) -> None:
    ann = await still.person()
    await tell(still, ann, 30, group="a")
    await tell(still, ann, 1, first=50)
    await still.call("POST", "/notifications/read", ann, {"seq": 32})
    await tell(still, ann, 30, first=60, group="a")
    _, page = await still.call("GET", "/notifications?limit=2", ann)
    assert [item["data"]["number"] for item in page["items"]] == [89, 50]
    assert page["unread"] == 1
    _, page = await still.call("GET", f"/notifications?before={page['next_cursor']}", ann)
    assert ([item["data"]["number"] for item in page["items"]], page["next_cursor"]) == ([30], None)


# -- others, and nonsense -------------------------------------------------------------------------------------------------


async def test_an_inbox_is_its_owners_alone(still: Market) -> None:
    ann, bob = await still.person(), await still.person()
    admin = await still.person(admin=True)
    await tell(still, ann, 1)
    for stream in (f"user:{ann.id}", "user:nobody", "user:", f"user:{ann.id}:more"):
        for who in (bob, admin):
            for path in (f"/streams/{stream}/events", f"/streams/{stream}"):
                status, refused = await still.call("GET", path, who)
                assert (status, refused["code"]) == (403, "FORBIDDEN"), path
            async with device(still, who, subscribe=False) as phone:
                answer = await phone.socket.call("subscribe", {"stream": stream})
                assert answer["error"]["code"] == "FORBIDDEN", stream
        status, refused = await still.call("GET", f"/streams/{stream}/events")
        assert (status, refused["code"]) == (401, "UNAUTHENTICATED")
    onlooker = LiveSocket("/bidding")
    await onlooker.connect(str(still.http.make_url("/")))
    answer = await onlooker.call("subscribe", {"stream": f"user:{ann.id}"})
    assert answer["error"]["code"] == "UNAUTHENTICATED"
    await onlooker.close()


async def test_without_a_token_there_is_nothing(still: Market) -> None:
    assert (await still.call("GET", "/notifications"))[0] == 401
    assert (await still.call("POST", "/notifications/read", None, {"seq": 1}))[0] == 401
    with pytest.raises(SocketProblem):
        await LiveSocket("/notifications").connect(str(still.http.make_url("/")))


async def test_reading_what_there_is_not(still: Market) -> None:
    ann = await still.person()
    await tell(still, ann, 2)  # 2 and 3
    async with device(still, ann) as phone:
        for seq in (4, 2**53 - 1, 2**53, 2**64 - 1, -1, 1.5, "1", True, None, [1], {}):
            status, refused = await still.call("POST", "/notifications/read", ann, {"seq": seq})
            assert (status, refused["code"], refused["errors"][0]["loc"]) == (422, "VALIDATION_FAILED", ["body", "seq"])
            answer = await phone.socket.call("read", {"seq": seq})
            assert answer["error"]["code"] == "VALIDATION_FAILED"
            assert answer["error"]["details"]["errors"][0]["loc"] == ["seq"]
        assert (await phone.socket.call("read", {}))["error"]["code"] == "VALIDATION_FAILED"
        assert (await phone.socket.call("write", {"seq": 1}))["error"]["code"] == "UNKNOWN_COMMAND"
    _, page = await still.call("GET", "/notifications", ann)
    assert (page["unread"], len(page["items"])) == (2, 2)


async def test_pages_that_there_are_not(still: Market) -> None:
    ann = await still.person()
    for query in ("limit=0", "limit=101", "limit=x", "before=-1", "before=x", "before=1.5", "cursor=abc"):
        status, refused = await still.call("GET", f"/notifications?{query}", ann)
        assert (status, refused["code"]) == (422, "VALIDATION_FAILED"), query
    status, refused = await still.call("GET", "/notifications?before=3&cursor=3", ann)
    assert (status, refused["errors"][0]["loc"]) == (422, ["query", "cursor"])


async def test_nobody_writes_into_an_inbox(still: Market) -> None:
    ann = await still.person()
    for method in ("POST", "PUT", "DELETE"):
        assert (await still.call(method, f"/streams/user:{ann.id}/events", ann, {}))[0] == 405
    async with device(still, ann) as phone:
        for command in ("notify", "open", "send"):
            answer = await phone.socket.call(command, {"kind": "won", "source": "auction:a", "seq": 1})
            assert answer["error"]["code"] == "UNKNOWN_COMMAND"
