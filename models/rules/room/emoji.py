"""What counts as one emoji: Unicode 17's set RGI_Emoji, the emoji that are recommended for general interchange.

The standard library knows no property of emoji, so the ranges are here, as of Unicode's `emoji-data.txt`, `emoji-sequences.txt` and
`emoji-zwj-sequences.txt`. Sequences are written without skin tones: those may follow every character that takes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

LONGEST: Final = 16
"""No emoji has more characters, skin tones and selectors included."""

_SELECTOR: Final = "\ufe0f"
_JOINER: Final = "\u200d"
_KEYCAP: Final = "\u20e3"
_TONES: Final = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
_INDICATOR_A: Final = 0x1F1E6


def _characters(ranges: str) -> Iterator[str]:
    """The characters of hexadecimal ranges, ends included."""
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from map(chr, range(int(first, 16), int(last or first, 16) + 1))


def _words(text: str) -> list[str]:
    return text.split()


_PRESENTED: Final = frozenset(
    _characters(
        """
    231a-231b 23e9-23ec 23f0 23f3 25fd-25fe 2614-2615 2648-2653 267f 2693 26a1 26aa-26ab 26bd-26be 26c4-26c5 26ce
    26d4 26ea 26f2-26f3 26f5 26fa 26fd 2705 270a-270b 2728 274c 274e 2753-2755 2757 2795-2797 27b0 27bf 2b1b-2b1c
    2b50 2b55 1f004 1f0cf 1f18e 1f191-1f19a 1f201 1f21a 1f22f 1f232-1f236 1f238-1f23a 1f250-1f251 1f300-1f320
    1f32d-1f335 1f337-1f37c 1f37e-1f393 1f3a0-1f3ca 1f3cf-1f3d3 1f3e0-1f3f0 1f3f4 1f3f8-1f43e 1f440 1f442-1f4fc
    1f4ff-1f53d 1f54b-1f54e 1f550-1f567 1f57a 1f595-1f596 1f5a4 1f5fb-1f64f 1f680-1f6c5 1f6cc 1f6d0-1f6d2
    1f6d5-1f6d8 1f6dc-1f6df 1f6eb-1f6ec 1f6f4-1f6fc 1f7e0-1f7eb 1f7f0 1f90c-1f93a 1f93c-1f945 1f947-1f9ff
    1fa70-1fa7c 1fa80-1fa8a 1fa8e-1fac6 1fac8 1facd-1fadc 1fadf-1faea 1faef-1faf8
    """
    )
)
"""Characters that are emoji by themselves."""

_AS_TEXT: Final = frozenset(
    _characters(
        """
    a9 ae 203c 2049 2122 2139 2194-2199 21a9-21aa 2328 23cf 23ed-23ef 23f1-23f2 23f8-23fa 24c2 25aa-25ab 25b6 25c0
    25fb-25fc 2600-2604 260e 2611 2618 261d 2620 2622-2623 2626 262a 262e-262f 2638-263a 2640 2642 265f-2660 2663
    2665-2666 2668 267b 267e 2692 2694-2697 2699 269b-269c 26a0 26a7 26b0-26b1 26c8 26cf 26d1 26d3 26e9 26f0-26f1
    26f4 26f7-26f9 2702 2708-2709 270c-270d 270f 2712 2714 2716 271d 2721 2733-2734 2744 2747 2763-2764 27a1
    2934-2935 2b05-2b07 3030 303d 3297 3299 1f170-1f171 1f17e-1f17f 1f202 1f237 1f321 1f324-1f32c 1f336 1f37d
    1f396-1f397 1f399-1f39b 1f39e-1f39f 1f3cb-1f3ce 1f3d4-1f3df 1f3f3 1f3f5 1f3f7 1f43f 1f441 1f4fd 1f549-1f54a
    1f56f-1f570 1f573-1f579 1f587 1f58a-1f58d 1f590 1f5a5 1f5a8 1f5b1-1f5b2 1f5bc 1f5c2-1f5c4 1f5d1-1f5d3
    1f5dc-1f5de 1f5e1 1f5e3 1f5e8 1f5ef 1f5f3 1f5fa 1f6cb 1f6cd-1f6cf 1f6e0-1f6e5 1f6e9 1f6f0 1f6f3
    """
    )
)
"""Characters that are emoji with the selector U+FE0F behind them."""

_TAKES_TONE: Final = frozenset(
    _characters(
        """
    261d 26f9 270a-270d 1f385 1f3c2-1f3c4 1f3c7 1f3ca-1f3cc 1f442-1f443 1f446-1f450 1f466-1f469 1f46b-1f478 1f47c
    1f481-1f483 1f485-1f487 1f48f 1f491 1f4aa 1f574-1f575 1f57a 1f590 1f595-1f596 1f645-1f647 1f64b-1f64f 1f6a3
    1f6b4-1f6b6 1f6c0 1f6cc 1f90c 1f90f 1f918-1f91f 1f926 1f930-1f939 1f93c-1f93e 1f977 1f9b5-1f9b6 1f9b8-1f9b9
    1f9bb 1f9cd-1f9cf 1f9d1-1f9dd 1fac3-1fac5 1faf0-1faf8
    """
    )
)
"""Characters that may have a skin tone."""

_REGIONS: Final = frozenset(
    _words(
        """
    AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CP CQ CR CU CV CW CX CY CZ DE DG DJ DK DM DO DZ EA EC EE EG EH ER ES ET
    EU FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU IC ID IE IL IM
    IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF
    MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK
    PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC
    TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM UN US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
    """
    )
)
"""Regions that have a flag."""

_SUBDIVISIONS: Final = frozenset({"gbeng", "gbsct", "gbwls"})
"""Parts of a region that have a flag."""

_JOINED: Final = _words(
    """
    ⛓️‍💥 ⛹️‍♀️ ⛹️‍♂️ ❤️‍🔥 ❤️‍🩹 🍄‍🟫 🍋‍🟩 🏃‍♀️ 🏃‍♂️ 🏃‍➡️ 🏄‍♀️ 🏄‍♂️ 🏊‍♀️ 🏊‍♂️ 🏋️‍♀️ 🏋️‍♂️ 🏌️‍♀️ 🏌️‍♂️ 🏳️‍⚧️ 🏳️‍🌈 🏴‍☠️
    🐈‍⬛ 🐕‍🦺 🐦‍⬛ 🐦‍🔥 🐻‍❄️ 👁️‍🗨️ 👨‍⚕️ 👨‍⚖️ 👨‍✈️ 👨‍🌾 👨‍🍳 👨‍🍼 👨‍🎓 👨‍🎤 👨‍🎨 👨‍🏫 👨‍🏭 👨‍👦 👨‍👧 👨‍💻 👨‍💼 👨‍🔧 👨‍🔬 👨‍🚀 👨‍🚒 👨‍🦯
    👨‍🦰 👨‍🦱 👨‍🦲 👨‍🦳 👨‍🦼 👨‍🦽 👩‍⚕️ 👩‍⚖️ 👩‍✈️ 👩‍🌾 👩‍🍳 👩‍🍼 👩‍🎓 👩‍🎤 👩‍🎨 👩‍🏫 👩‍🏭 👩‍👦 👩‍👧 👩‍💻 👩‍💼 👩‍🔧 👩‍🔬 👩‍🚀 👩‍🚒 👩‍🦯 👩‍🦰
    👩‍🦱 👩‍🦲 👩‍🦳 👩‍🦼 👩‍🦽 👮‍♀️ 👮‍♂️ 👯‍♀️ 👯‍♂️ 👰‍♀️ 👰‍♂️ 👱‍♀️ 👱‍♂️ 👳‍♀️ 👳‍♂️ 👷‍♀️ 👷‍♂️ 💁‍♀️ 💁‍♂️ 💂‍♀️ 💂‍♂️ 💆‍♀️ 💆‍♂️
    💇‍♀️ 💇‍♂️ 🕵️‍♀️ 🕵️‍♂️ 😮‍💨 😵‍💫 😶‍🌫️ 🙂‍↔️ 🙂‍↕️ 🙅‍♀️ 🙅‍♂️ 🙆‍♀️ 🙆‍♂️ 🙇‍♀️ 🙇‍♂️ 🙋‍♀️ 🙋‍♂️ 🙍‍♀️ 🙍‍♂️ 🙎‍♀️ 🙎‍♂️ 🚣‍♀️
    🚣‍♂️ 🚴‍♀️ 🚴‍♂️ 🚵‍♀️ 🚵‍♂️ 🚶‍♀️ 🚶‍♂️ 🚶‍➡️ 🤦‍♀️ 🤦‍♂️ 🤵‍♀️ 🤵‍♂️ 🤷‍♀️ 🤷‍♂️ 🤸‍♀️ 🤸‍♂️ 🤹‍♀️ 🤹‍♂️ 🤼‍♀️ 🤼‍♂️ 🤽‍♀️ 🤽‍♂️
    🤾‍♀️ 🤾‍♂️ 🦸‍♀️ 🦸‍♂️ 🦹‍♀️ 🦹‍♂️ 🧍‍♀️ 🧍‍♂️ 🧎‍♀️ 🧎‍♂️ 🧎‍➡️ 🧏‍♀️ 🧏‍♂️ 🧑‍⚕️ 🧑‍⚖️ 🧑‍✈️ 🧑‍🌾 🧑‍🍳 🧑‍🍼 🧑‍🎄 🧑‍🎓 🧑‍🎤 🧑‍🎨 🧑‍🏫
    🧑‍🏭 🧑‍💻 🧑‍💼 🧑‍🔧 🧑‍🔬 🧑‍🚀 🧑‍🚒 🧑‍🦯 🧑‍🦰 🧑‍🦱 🧑‍🦲 🧑‍🦳 🧑‍🦼 🧑‍🦽 🧑‍🧒 🧑‍🩰 🧔‍♀️ 🧔‍♂️ 🧖‍♀️ 🧖‍♂️ 🧗‍♀️ 🧗‍♂️ 🧘‍♀️ 🧘‍♂️ 🧙‍♀️
    🧙‍♂️ 🧚‍♀️ 🧚‍♂️ 🧛‍♀️ 🧛‍♂️ 🧜‍♀️ 🧜‍♂️ 🧝‍♀️ 🧝‍♂️ 🧞‍♀️ 🧞‍♂️ 🧟‍♀️ 🧟‍♂️ 🏃‍♀️‍➡️ 🏃‍♂️‍➡️ 👨‍👦‍👦 👨‍👧‍👦 👨‍👧‍👧 👨‍🦯‍➡️ 👨‍🦼‍➡️
    👨‍🦽‍➡️ 👩‍👦‍👦 👩‍👧‍👦 👩‍👧‍👧 👩‍🦯‍➡️ 👩‍🦼‍➡️ 👩‍🦽‍➡️ 🚶‍♀️‍➡️ 🚶‍♂️‍➡️ 🧎‍♀️‍➡️ 🧎‍♂️‍➡️ 🧑‍🦯‍➡️ 🧑‍🦼‍➡️ 🧑‍🦽‍➡️ 🧑‍🧒‍🧒 👨‍❤️‍👨
    👨‍👨‍👦 👨‍👨‍👦‍👦 👨‍👨‍👧 👨‍👨‍👧‍👦 👨‍👨‍👧‍👧 👨‍👩‍👦 👨‍👩‍👦‍👦 👨‍👩‍👧 👨‍👩‍👧‍👦 👨‍👩‍👧‍👧 👩‍❤️‍👨 👩‍❤️‍👩 👩‍👩‍👦 👩‍👩‍👦‍👦 👩‍👩‍👧
    👩‍👩‍👧‍👦 👩‍👩‍👧‍👧 🧑‍🤝‍🧑 🧑‍🧑‍🧒 🧑‍🧑‍🧒‍🧒 👨‍❤️‍💋‍👨 👩‍❤️‍💋‍👨 👩‍❤️‍💋‍👩
    """
)
"""Sequences of emoji that are shown as one."""

_JOINED_WITH_TONES: Final = _words(
    """
    🫱‍🫲 👨‍🐰‍👨 👨‍🤝‍👨 👨‍🫯‍👨 👩‍🐰‍👩 👩‍🤝‍👨 👩‍🤝‍👩 👩‍🫯‍👩 🧑‍❤️‍🧑 🧑‍🐰‍🧑 🧑‍🫯‍🧑 🧑‍❤️‍💋‍🧑
    """
)
"""The same, of those that are one only when at least one of them has a skin tone."""


def _flag(region: str) -> str:
    return "".join(chr(_INDICATOR_A + ord(letter) - ord("A")) for letter in region)


def _tagged_flag(subdivision: str) -> str:
    return "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in subdivision) + "\U000e007f"


def _bare(emoji: str) -> str:
    return emoji.replace(_SELECTOR, "")


_WHOLE: Final = {
    **{character: character for character in _PRESENTED},
    **{character: character + _SELECTOR for character in _AS_TEXT},
    **{_flag(region): _flag(region) for region in _REGIONS},
    **{_tagged_flag(subdivision): _tagged_flag(subdivision) for subdivision in _SUBDIVISIONS},
    **{digit + _KEYCAP: digit + _SELECTOR + _KEYCAP for digit in "#*0123456789"},
    **{_bare(emoji): emoji for emoji in (*_JOINED, *_JOINED_WITH_TONES)},
}
"""From emoji without selectors and skin tones to their full form."""

_NEEDS_TONE: Final = frozenset(_bare(emoji) for emoji in _JOINED_WITH_TONES)


def canonical_emoji(text: str) -> str | None:
    """The one form of an emoji, which has U+FE0F wherever Unicode wants it; None when the text is not exactly one emoji.

    Clients leave U+FE0F away or not, and two forms of one emoji must not be two reactions.
    """
    if not text or len(text) > LONGEST:
        return None
    bare = _bare(text)
    tones = _tones(bare)
    if tones is None:
        return None
    plain = "".join(character for character in bare if character not in _TONES) if tones else bare
    full = _WHOLE.get(plain)
    if full is None or (plain in _NEEDS_TONE and not tones):
        return None
    return _toned(full, tones)


def _tones(bare: str) -> dict[int, str] | None:
    """Skin tones by the place, among joined emoji, of the one that has it; None when one is where none can be."""
    if len(bare) == 1:
        return {}  # also a skin tone by itself, which is an emoji of its own
    tones: dict[int, str] = {}
    for place, part in enumerate(bare.split(_JOINER)):
        for index, character in enumerate(part):
            if character not in _TONES:
                continue
            if index != 1 or part[0] not in _TAKES_TONE:
                return None
            tones[place] = character
    return tones


def _toned(full: str, tones: dict[int, str]) -> str:
    """The full form with skin tones, each instead of the selector."""
    if not tones:
        return full
    parts = full.split(_JOINER)
    return _JOINER.join(part[0] + tones[place] if place in tones else part for place, part in enumerate(parts))
