"""One emoji is one emoji, in whatever form it comes; everything else is none."""

from __future__ import annotations

import unicodedata

import pytest

from models.rules.room.emoji import _WHOLE, LONGEST, canonical_emoji

TONES = "🏻🏼🏽🏾🏿"


@pytest.mark.parametrize(
    "emoji",
    [
        "👍", "👍🏽", "😀", "🫠", "❤️", "☺️", "✌🏿", "1️⃣", "#️⃣", "*️⃣", "🇩🇪", "🇪🇺", "🏴‍☠️", "🏳️‍🌈", "🏳️‍⚧️",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👨‍👩‍👧‍👦", "👩🏽‍💻", "🧑🏻‍❤️‍💋‍🧑🏿", "🫱🏻‍🫲🏼", "👁️‍🗨️", "🕵🏻‍♂️", "🕵️‍♂️", "🤷🏿‍♀️", "🧑‍🤝‍🧑",
        "👩🏾‍🤝‍👨🏻", "🏃🏽‍♀️‍➡️", "😶‍🌫️", "❤️‍🔥", "©️", "™️", "🏽", "🐻‍❄️",
    ],
)  # fmt: skip
def test_emoji_are_taken_as_they_are(emoji: str) -> None:
    assert canonical_emoji(emoji) == emoji


@pytest.mark.parametrize(
    ("given", "full"),
    [("❤", "❤️"), ("👁‍🗨", "👁️‍🗨️"), ("1⃣", "1️⃣"), ("🤷‍♀", "🤷‍♀️"), ("🕵🏻‍♂", "🕵🏻‍♂️"), ("🏳‍🌈", "🏳️‍🌈"), ("👍️", "👍")],
)
def test_an_emoji_has_one_form(given: str, full: str) -> None:
    assert canonical_emoji(given) == full


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "a", "ok", ":)", "1", "#", "12", "👍👍", "👍 ", " 👍", "👍a", "🇩", "🇽🇽", "🇩🇪🇫🇷", "👍‍👎", "‍", "️", "⃣", "a⃣",
        "👍🏽🏽", "🚗🏽", "🏽👍", "👨‍", "‍👨", "🫱‍🫲", "❤︎", "é", "∞", "→", "♠︎", "🏴󠁧󠁢󠁿", "\U000e0067", "\ud83d", "👍" * 9, "x" * 100,
    ],
)  # fmt: skip
def test_others_are_none(text: str) -> None:
    assert canonical_emoji(text) is None


def test_every_full_form_is_its_own_and_short_enough() -> None:
    for emoji in _WHOLE.values():
        canonical = canonical_emoji(emoji)
        assert canonical == emoji or (canonical is None and canonical_emoji(emoji[0] + TONES[0] + emoji[1:]))
        assert len(emoji) <= LONGEST
    assert len(_WHOLE) > 1_900


def test_letters_and_digits_of_all_scripts_are_none() -> None:
    taken = [chr(code) for code in range(0x80, 0x2000) if canonical_emoji(chr(code))]
    assert taken == ["©", "®"]
    assert all(unicodedata.category(character) == "So" for character in taken)
