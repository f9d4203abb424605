"""What everybody is answered over sockets, and who reads which stream, in whatever way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.attack.matrix import Row

NAMESPACES: Final = ("/bidding", "/chat", "/notifications")

_NO_WAY_BACK: Final = "RETRACT_NOT_ALLOWED"
_BID: Final = {"amount": 30_000, "kind": "auto", "key": "<fresh>"}
_SAID: Final = {"text": "Good morning", "key": "<fresh>"}
_REACTION: Final = {"emoji": "❤️", "on": True, "key": "<fresh>"}

# fmt: off
STREAMS: Final = {
    #                          anon other member owner blocked removed moderator admin
    "auction:<auction>":         "200 200 200 200 200 200 200 200",
    "auction:<sealed>":          "200 200 200 200 200 200 200 200",
    "auction:<invited_auction>": "404 404 200 200 200 200 404 200",
    "auction:<unknown>":         "404 404 404 404 404 404 404 404",
    "sealed:<sealed>":           "404 404 404 404 404 404 404 404",  # the truth behind it is nobody's
    "room:<room>":               "401 403 200 200 200 403 200 200",
    "room:<invited_room>":       "401 403 200 200 200 403 200 200",
    "room:<sealed_room>":        "401 403 200 200 200 403 200 200",
    "room:<dm>":                 "401 403 200 200 403 403 403 403",
    "room:<blocked_dm>":         "401 403 403 200 200 403 403 403",
    "room:<left_dm>":            "401 403 403 200 403 403 403 403",
    "room:<contract_room>":      "401 403 200 200 200 403 200 200",
    "room:<unknown>":            "401 404 404 404 404 404 404 404",
    "user:<member>":             "401 403 200 403 403 403 403 403",  # an inbox is one's own, also from admins
    "user:<owner>":              "401 403 403 200 403 403 403 403",
    "user:<unknown>":            "401 403 403 403 403 403 403 403",
    "other:<unknown>":           "404 404 404 404 404 404 404 404",
}

COMMANDS: Final = (
    #                          anon other member owner blocked removed moderator admin
    Row("/bidding bid",        "401 ok  ok  SELF_BID BLOCKED ok ok  ok", {"auction": "<auction>", **_BID}),
    Row("/bidding bid",        "401 NOT_INVITED ok SELF_BID BLOCKED ok NOT_INVITED NOT_INVITED", {"auction": "<invited_auction>", **_BID}),
    Row("/bidding retract",    f"401 {_NO_WAY_BACK} ok {_NO_WAY_BACK} {_NO_WAY_BACK} {_NO_WAY_BACK} {_NO_WAY_BACK} {_NO_WAY_BACK}",
        {"auction": "<auction>", "seq": "<bid>", "reason": "typo", "key": "<fresh>"}),
    Row("/bidding unsubscribe", "ok  ok  ok  ok  ok  ok  ok  ok", {"stream": "auction:<auction>"}),
    Row("/bidding sync_time",  "ok  ok  ok  ok  ok  ok  ok  ok", {"t0": 1}),
    Row("/bidding reauthenticate", "401 403 ok  403 403 403 403 403", {"token": "<member_token>"}),
    Row("/bidding reauthenticate", "401 401 401 401 401 401 401 401", {"token": "bad"}),

    Row("/chat send",          "401 403 ok  ok  ok  403 403 403", {"room": "<room>", **_SAID}, harmless=True),
    Row("/chat send",          "401 403 ok  ok  ok  403 403 403", {"room": "<invited_room>", **_SAID}, harmless=True),
    Row("/chat send",          "401 403 ok  ok  ok  403 403 403", {"room": "<sealed_room>", **_SAID}, harmless=True),
    Row("/chat send",          "401 403 ok  ok  403 403 403 403", {"room": "<dm>", **_SAID}, harmless=True),
    Row("/chat send",          "401 403 403 BLOCKED BLOCKED 403 403 403", {"room": "<blocked_dm>", **_SAID}),
    Row("/chat send",          "401 403 403 ok  403 403 403 403", {"room": "<left_dm>", **_SAID}, harmless=True),
    Row("/chat send",          "401 403 ok  ok  ok  403 403 403", {"room": "<contract_room>", **_SAID}, harmless=True),
    Row("/chat send",          "401 404 404 404 404 404 404 404", {"room": "<unknown>", **_SAID}),
    Row("/chat edit",          "401 403 ok  403 403 403 403 403", {"room": "<room>", "seq": "<message>", **_SAID}),
    Row("/chat edit",          "401 403 403 403 403 403 403 403", {"room": "<room>", "seq": "<removed_message>", **_SAID}),
    Row("/chat edit",          "401 403 403 BLOCKED BLOCKED 403 403 403", {"room": "<blocked_dm>", "seq": "<blocked_dm_message>", **_SAID}),
    Row("/chat delete",        "401 403 ok  403 403 403 ok  ok ", {"room": "<room>", "seq": "<message>", "key": "<fresh>"}),
    Row("/chat delete",        "401 403 ok  403 403 403 ok  ok ", {"room": "<dm>", "seq": "<dm_message>", "key": "<fresh>"}),
    Row("/chat react",         "401 403 ok  ok  ok  403 403 403", {"room": "<room>", "seq": "<message>", **_REACTION}, harmless=True),
    Row("/chat react",         "401 403 403 BLOCKED BLOCKED 403 403 403", {"room": "<blocked_dm>", "seq": "<blocked_dm_message>", **_REACTION}),
    Row("/chat read",          "401 403 ok  ok  ok  403 ok  ok ", {"room": "<room>", "seq": 1}, harmless=True),
    Row("/chat read",          "401 403 ok  ok  403 403 403 403", {"room": "<dm>", "seq": 1}, harmless=True),
    Row("/chat delivered",     "401 403 ok  ok  ok  403 ok  ok ", {"room": "<room>", "seq": 1}, harmless=True),
    Row("/chat delivered",     "401 403 403 ok  403 403 403 403", {"room": "<left_dm>", "seq": 1}, harmless=True),
    Row("/chat typing",        "401 403 ok  ok  ok  403 403 403", {"room": "<room>", "on": True}, harmless=True),
    Row("/chat typing",        "401 403 ok  ok  403 403 403 403", {"room": "<dm>", "on": True}, harmless=True),
    Row("/chat typing",        "401 403 403 BLOCKED BLOCKED 403 403 403", {"room": "<blocked_dm>", "on": True}),
    Row("/chat typing",        "401 404 404 404 404 404 404 404", {"room": "<unknown>", "on": True}),
    Row("/chat unsubscribe",   "401 ok  ok  ok  ok  ok  ok  ok ", {"stream": "room:<room>"}),
    Row("/chat sync_time",     "401 ok  ok  ok  ok  ok  ok  ok ", {"t0": 1}),
    Row("/chat reauthenticate", "401 403 ok  403 403 403 403 403", {"token": "<member_token>"}),
    Row("/chat reauthenticate", "401 401 401 401 401 401 401 401", {"token": "bad"}),

    Row("/notifications read", "401 ok  ok  ok  ok  ok  ok  ok ", {"seq": 0}, harmless=True),
    Row("/notifications unsubscribe", "401 ok  ok  ok  ok  ok  ok  ok ", {"stream": "user:<member>"}),
    Row("/notifications sync_time", "401 ok  ok  ok  ok  ok  ok  ok ", {"t0": 1}),
    Row("/notifications reauthenticate", "401 403 ok  403 403 403 403 403", {"token": "<member_token>"}),
    Row("/notifications reauthenticate", "401 401 401 401 401 401 401 401", {"token": "bad"}),
)
# fmt: on


def _readings() -> Iterator[Row]:
    """Every way to read every stream: whichever is taken, the answer is the same."""
    for stream, answers in STREAMS.items():
        yield Row(f"GET /streams/{stream}", answers)
        yield Row(f"GET /streams/{stream}/events?after=0", answers)
        yield Row(f"GET /streams/{stream}/events", answers, accept="text/event-stream")
        for namespace in NAMESPACES:
            acks = answers.replace("200", "ok")
            if namespace != "/bidding":  # where nobody connects without a token
                acks = " ".join(["401", *acks.split()[1:]])
            yield Row(f"{namespace} subscribe", acks, {"stream": stream})
            yield Row(f"{namespace} subscribe", acks, {"stream": stream, "after": 0})


LIVE: Final = (*COMMANDS, *_readings())
