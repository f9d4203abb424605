"""The parts of the load that need neither network nor Locust."""

from __future__ import annotations

import pytest

from loadtest.people.views import View
from loadtest.report import Report, Row
from loadtest.shapes import SHAPES
from loadtest.town import START_AMOUNT, STEP, Lot, Town
from loadtest.wire import frames, packets
from loadtest.wire.clock import MarketClock
from loadtest.wire.follow import Follow
from loadtest.wire.frames import Frames, Malformed


def _events(*seqs: int) -> list[dict[str, int]]:
    return [{"seq": seq} for seq in seqs]


def _following(seq: int) -> Follow:
    follow = Follow("auction:one")
    follow.begin(seq)
    return follow


class TestFollow:
    def test_dense_events_are_fine(self) -> None:
        follow = _following(3)
        assert follow.take(_events(4, 5), 5) == []
        assert follow.take([], 5) == []
        assert follow.take(_events(6), 6) == []
        assert follow.seq == 6

    def test_a_gap_is_found_once(self) -> None:
        follow = _following(3)
        assert [fault.kind for fault in follow.take(_events(5), 5)] == ["gap"]
        assert follow.take(_events(6), 6) == []

    @pytest.mark.parametrize("again", [4, 3])
    def test_a_repeat_is_found(self, again: int) -> None:
        follow = _following(3)
        follow.take(_events(4), 4)
        assert [fault.kind for fault in follow.take(_events(again, 5), 5)] == ["repeat"]
        assert follow.seq == 5

    def test_the_wrong_order_is_found(self) -> None:
        assert [fault.kind for fault in _following(3).take(_events(5, 4), 5)] == ["gap", "repeat"]

    def test_the_seq_beside_the_events_counts_too(self) -> None:
        assert [fault.kind for fault in _following(3).take(_events(4), 6)] == ["gap"]
        assert [fault.kind for fault in _following(3).take([], 4)] == ["gap"]

    def test_nothing_may_come_before_the_answer(self) -> None:
        assert [fault.kind for fault in Follow("auction:one").take(_events(1), 1)] == ["stray"]


def _unmasked(frame: bytes) -> bytes:
    """What a server makes of a client's frame."""
    assert frame[0] == 0x81
    assert frame[1] & 0x80, "clients mask"
    size, start = frame[1] & 0x7F, 2
    if size >= 126:
        length = 2 if size == 126 else 8
        size, start = int.from_bytes(frame[2 : 2 + length], "big"), 2 + length
    mask, payload = frame[start : start + 4], frame[start + 4 :]
    assert len(payload) == size
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def _from_server(payload: bytes, first: int = 0x81) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    length, mark = (2, 126) if size < 65_536 else (8, 127)
    return bytes((first, mark)) + size.to_bytes(length, "big") + payload


class TestFrames:
    @pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 65_535, 65_536])
    def test_both_ways(self, size: int) -> None:
        payload = bytes(index % 251 for index in range(size))
        assert _unmasked(frames.encode(payload)) == payload
        assert Frames().feed(_from_server(payload)) == [(frames.TEXT, payload)]

    def test_cut_anywhere(self) -> None:
        payloads = [b"one", b"x" * 300, b"", b"four"]
        stream = b"".join(_from_server(payload) for payload in payloads)
        reader = Frames()
        found = [payload for index in range(len(stream)) for _, payload in reader.feed(stream[index : index + 1])]
        assert found == payloads

    def test_fragments_with_a_ping_in_between(self) -> None:
        stream = _from_server(b"he", 0x01) + _from_server(b"?", 0x89) + _from_server(b"y", 0x80)
        assert Frames().feed(stream) == [(frames.PING, b"?"), (frames.TEXT, b"hey")]

    @pytest.mark.parametrize("first", [0xC1, 0x82])
    def test_what_is_not_spoken_is_refused(self, first: int) -> None:
        with pytest.raises(Malformed):
            Frames().feed(_from_server(b"x", first))

    def test_a_mask_is_refused(self) -> None:
        with pytest.raises(Malformed):
            Frames().feed(frames.encode(b"x"))


@pytest.mark.parametrize(
    ("message", "packet"),
    [
        (b'0/bidding,{"sid":"x"}', (packets.CONNECT, "/bidding", -1, {"sid": "x"})),
        (b'2/chat,["events",{"seq":1}]', (packets.EVENT, "/chat", -1, ["events", {"seq": 1}])),
        (b'3/bidding,12[{"ok":true}]', (packets.ACK, "/bidding", 12, [{"ok": True}])),
        (b'4/bidding,{"message":"UNAUTHENTICATED"}', (4, "/bidding", -1, {"message": "UNAUTHENTICATED"})),
        (b"1/chat,", (packets.DISCONNECT, "/chat", -1, None)),
        (b'2["hello"]', (packets.EVENT, "/", -1, ["hello"])),
    ],
)
def test_packets_are_read(message: bytes, packet: tuple[int, str, int, object]) -> None:
    assert tuple(packets.decode(message)) == packet


def test_packets_are_written() -> None:
    assert packets.connect("/chat", {"token": "t"}) == b'40/chat,{"token":"t"}'
    assert packets.command("/chat", 7, "send", {"a": 1}) == b'42/chat,7["send",{"a":1}]'


def test_the_best_measurement_of_time_is_kept() -> None:
    clock = MarketClock()
    assert not clock.known
    clock.learn(1_000, 6_010, 6_010, 1_020)  # 5 s ahead, 20 ms there and back
    assert clock.offset_ms == 5_000
    clock.learn(2_000, 9_000, 9_000, 3_000)  # a second there and back tells less
    assert clock.offset_ms == 5_000
    clock.learn(3_000, 8_003, 8_003, 3_002)
    assert clock.offset_ms == 5_002


def _row(kind: str = "SOCKET", name: str = "/bidding bid", count: int = 2_000, failures: int = 0) -> Row:
    return Row(kind, name, count, failures, 5, 10, 20, 30)


class TestReport:
    def test_a_good_run(self) -> None:
        report = Report([_row(), _row("EVENTS", "/bidding events lag", 90_000)], seconds=10)
        assert report.complaints() == []
        assert (report.commands, report.failures) == (2_000, 0)
        assert report.text().splitlines()[-1] == "good"

    def test_one_in_a_thousand_is_borne_and_no_more(self) -> None:
        assert Report([_row(failures=2)], seconds=10).complaints() == []
        assert len(Report([_row(failures=3)], seconds=10).complaints()) == 1

    def test_deliveries_hide_no_failures(self) -> None:
        rows = [_row(failures=3), _row("EVENTS", "/bidding events lag", 1_000_000)]
        assert len(Report(rows, seconds=10).complaints()) == 1

    def test_a_single_gap_is_too_much(self) -> None:
        assert Report([_row()], seconds=10, faults={"gap": 1}).complaints() == ["a stream had 1 x gap"]

    def test_a_failing_load_proves_nothing(self) -> None:
        assert len(Report([_row()], seconds=10, exceptions=["1 x KeyError"]).complaints()) == 1

    def test_nor_does_one_that_did_nothing(self) -> None:
        assert Report([_row(count=0)], seconds=10).complaints() == ["nobody did anything"]

    def test_the_table_names_everything(self) -> None:
        rows = [
            _row(),
            _row("GET", "GET /jobs"),
            _row("REFUSED", "/bidding bid: BID_TOO_WEAK"),
            _row("EVENTS", "/chat events lag"),
        ]
        text = Report(rows, seconds=10, errors={"/bidding bid: INTERNAL": 4}, most_sockets=1_000).text()
        for word in (
            "/bidding bid ",
            "GET /jobs",
            "BID_TOO_WEAK",
            "/chat events lag",
            "4 x /bidding bid: INTERNAL",
            "1,000",
        ):
            assert word in text


class TestShapes:
    @pytest.mark.parametrize("name", list(SHAPES))
    def test_somebody_is_always_there_and_never_too_many(self, name: str) -> None:
        counts = [SHAPES[name].users(done / 100, 200) for done in range(101)]
        assert min(counts) >= 1
        assert max(counts) == 200

    def test_everybody_is_there_at_the_close(self) -> None:
        shape = SHAPES["spike"]
        assert shape.closes is not None
        assert shape.users(shape.closes, 200) == 200
        assert shape.users(0.2, 200) == shape.users(1, 200) == 50


def _bid(seq: int, bidder: str, price: int) -> dict[str, object]:
    return {"seq": seq, "type": "bid", "bidder": bidder, "leader": bidder, "price": price}


class TestView:
    @pytest.mark.parametrize("ack_first", [True, False])
    def test_who_bids_learns_the_own_pseudonym(self, ack_first: bool) -> None:
        view = View(Lot("a", "j", 1))
        view.begin({"price": None, "leader": None, "phase": "open"})
        if ack_first:
            view.placed({"seq": 2, "price": 100})
        view.take([_bid(2, "Bidder 1", 100)])
        if not ack_first:
            view.placed({"seq": 2, "price": 100})
        assert view.me == "Bidder 1"
        assert view.leading
        view.take([_bid(3, "Bidder 2", 200)])
        assert not view.leading

    def test_better_is_the_auctions_direction(self) -> None:
        up, down = View(Lot("a", "j", 1)), View(Lot("b", "j", -1))
        assert up.better(2, START_AMOUNT) == START_AMOUNT
        up.price = down.price = START_AMOUNT
        assert up.better(2, 1) == START_AMOUNT + 2 * STEP
        assert down.better(2, 1) == START_AMOUNT - 2 * STEP


def test_a_town_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("town") / "town.json"
    town = Town(["http://a"], False, ["p@x"], ["t@x"], ["c@x"], [Lot("a", "j", -1, True)])
    town.save(path)
    assert Town.load(path) == town
