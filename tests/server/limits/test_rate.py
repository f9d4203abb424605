"""Rates as settings say them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from server.limits.rate import Rate
from server.settings import Settings


@pytest.mark.parametrize(
    ("text", "count", "period_s"),
    [
        ("100/15m", 100, 900),
        ("1/s", 1, 1),
        ("20/10s", 20, 10),
        ("5/2h", 5, 7_200),
        ("9999999/9999h", 9_999_999, 35_996_400),
    ],
)
def test_rates_are_a_count_and_a_time(text: str, count: int, period_s: float) -> None:
    rate = Rate.parse(text)
    assert (rate.count, rate.period_s, rate.each_s) == (count, period_s, period_s / count)
    assert rate.times(10) == Rate(10 * count, period_s)


WRONG = [
    "",
    "100",
    "100/",
    "/15m",
    "0/s",
    "01/s",
    "1/0s",
    "-1/s",
    "1.5/s",
    "1/d",
    "1/s ",
    " 1/s",
    "1 / s",
    "1/15 m",
    "1/s\n",
    "1e3/s",
]


@pytest.mark.parametrize("text", [*WRONG, "99999999/s", "1/99999s", "١/s"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be like 100/15m"):
        Rate.parse(text)
    with pytest.raises(ValidationError):
        Settings(rate_auth=text)
    with pytest.raises(ValidationError):
        Settings(rate_commands={"subscribe": text})


def test_limits_are_on_unless_somebody_turns_them_off() -> None:
    settings = Settings()
    assert settings.rate_limits
    assert settings.rate_auth == "100/15m"
    assert {"*", "connect", "subscribe", "/bidding bid", "/chat send", "/chat typing"} <= set(settings.rate_commands)
    for text in (
        settings.rate_user,
        settings.rate_anonymous,
        settings.rate_handshakes,
        *settings.rate_commands.values(),
    ):
        Rate.parse(text)


def test_given_rates_of_commands_leave_the_others_as_they_are() -> None:
    changed = Settings(rate_commands={"/chat send": "1/s", "/files upload": "2/s"}).rate_commands
    assert changed == Settings().rate_commands | {"/chat send": "1/s", "/files upload": "2/s"}


@pytest.mark.parametrize("name", ["", "/chat", "chat send", "/chat  send", "/chat send now", "Send", "**", "/chat *"])
def test_names_of_commands_have_a_form(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings(rate_commands={name: "1/s"})


@pytest.mark.parametrize("given", [("10.0.0.0/33",), ("somewhere",), ("::1/129",), ("",)])
def test_trusted_proxies_are_networks(given: Any) -> None:
    with pytest.raises(ValidationError):
        Settings(trusted_proxies=given)


def test_networks_are_shown_in_their_one_form() -> None:
    assert Settings(trusted_proxies=("10.1.2.3/8", "192.0.2.7")).trusted_proxies == ("10.0.0.0/8", "192.0.2.7/32")
