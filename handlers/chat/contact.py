"""Finding contact details in a text: e-mail addresses, links, telephone numbers, names on messengers.

People who would go round the market write them in many ways, so this looks for the common ones and their usual disguises, and lets
pass what a job's talk is full of: prices, dates, versions, order numbers, file names. It is a hurdle, not a wall.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import Final, Literal

Kind = Literal["email", "link", "phone", "handle"]

_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")

_PHRASES: Final = re.compile("[\ufdfa\ufdfb]")
"""Characters that NFKC makes phrases of: they disguise nothing, and a text full of them would take long to look through."""

_SURE: Final = (
    "com|net|org|info|biz|io|co|app|dev|edu|gov|eu|de|fr|uk|es|nl|ch|ru|cn|jp|br|au|ca|se|dk|fi|pt|gr|cz|ro|hu|ua|tr|za|mx|ar|"
    "kr|nz|ie|lu|sk|si|hr|bg|tv|gg|ly|ai|xyz|online|site|shop|store|page|link|cloud|tech|blog|agency|studio|pro|space|website"
)
"""Ends of domain names that are hardly ever the second half of anything else."""

_DOUBTFUL: Final = "me|it|is|at|be|in|us|no|to|so|am|pl|py|rs|md|sh|cc|my|id|li|im|ws|la|st|gl|pe|do"
"""Others are words or the ends of file names as well; with a path behind them they are links."""

_TECHNOLOGIES: Final = frozenset(
    {
        "asp.net",
        "ado.net",
        "vb.net",
        "ml.net",
        "socket.io",
        "engine.io",
        "draw.io",
        "ember.app",
        "electron.app",
        "sap.io",
    }
)
"""What is talked about by a name that looks like a domain."""

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LINK: Final = re.compile(
    rf"(?P<scheme>(?:https?|ftp)://|www\.)(?P<address>[^\s/]{{1,253}})"
    rf"|(?<![\w@.-])(?P<host>(?:{_LABEL}\.){{1,5}}(?:(?:{_SURE})(?![\w-])(?!\.\w)|(?:{_DOUBTFUL})(?=/\w)))"
)

_AT: Final = r"(?:\s?@\s?|\s?[(\[{<]\s?(?:at|ät|@)\s?[)\]}>]\s?)"
_DOT: Final = r"(?:\.|\s?[(\[{<]\s?(?:dot|punkt|\.)\s?[)\]}>]\s?|\s(?:dot|punkt)\s)"
_LOCAL: Final = r"(?<![a-z0-9._%+-])[a-z0-9._%+-]{1,64}"
_EMAIL: Final = re.compile(
    rf"{_LOCAL}{_AT}{_LABEL}(?:{_DOT}{_LABEL}){{0,3}}{_DOT}[a-z]{{2,24}}(?![a-z0-9])"
    rf"|{_LOCAL}\sat\s{_LABEL}(?:{_DOT}{_LABEL}){{0,3}}(?:\s(?:dot|punkt)\s|\s?[(\[{{<]\s?(?:dot|punkt)\s?[)\]}}>]\s?)(?:{_SURE})\b"
    rf"|{_LOCAL}\sat\s(?:gmail|googlemail|hotmail|outlook|yahoo|icloud|proton(?:mail)?|gmx|aol)\b"
    rf"|{_LOCAL}{_AT}(?:gmail|googlemail|hotmail|outlook|yahoo|icloud|proton(?:mail)?|gmx|aol)\b"
)

_DATES: Final = re.compile(
    r"(?<![\d+])(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2}))(?:[t ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(?![\d])"
    r"|(?<!\d)\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?!\d)"
)
_AMOUNTS: Final = re.compile(
    r"(?:[$€£¥₹]|\b(?:eur|usd|gbp|chf|jpy|inr|pln|sek))\s?\d[\d.,' ]{0,20}"
    r"|(?<![\d+])\d[\d.,' ]{0,20}\s?(?:[$€£¥₹%]|(?:eur|usd|gbp|chf|jpy|inr|pln|sek|euros?|dollars?|pounds?)\b)"
)
_NUMBERED: Final = re.compile(
    r"(?:\b(?:order|invoice|ticket|case|ref|reference|sku|isbn|ean|iban|vat|tax|part|serial|article|item|job|bid|id|no|nr|number of|"
    r"version|build|commit|tracking|po)\b[\s.:#]{0,3}(?:(?:no|nr|number|id)\b[\s.:#]{0,3})?|#\s?)[a-z]{0,4}[-\s]?\d[\d\s./-]{0,30}"
)
"""Numbers that say themselves what they are."""

_SEPARATOR: Final = r"[\s./()-]{0,3}"
_INTERNATIONAL: Final = re.compile(rf"(?<![\w+])(?:\+|00)\s?[1-9](?:{_SEPARATOR}\d){{7,14}}(?!\d)")
_NATIONAL: Final = re.compile(
    r"(?<![\w.,/-])\(?0\d{1,5}\)?[\s./-]{1,3}\d{2,8}(?:[\s./-]\d{2,8}){0,4}(?![\d])|(?<![\w.,/-])0\d{9,11}(?!\d)"
    r"|(?<![\w.,/-])(?:1[\s.-])?(?:\(\d{3}\)\s?|\d{3}[\s.-])\d{3}[\s.-]\d{4}(?![\w.,-]?\d)"
)
_CALLED: Final = re.compile(
    r"\b(?:call|ring|phone|text|sms|whatsapp|dial|reach) (?:me|us)\b[^\d\n]{0,20}(?:\d" + _SEPARATOR + r"){6,14}\d"
    r"|\b(?:phone|tel|telephone|telefon|mobile|cell|handy|whatsapp|mobil)\b\.?"
    r"(?:\s(?:number|no|nr|is|me|at|on|under))*[\s.:=]{0,3}[+(]?(?:\d" + _SEPARATOR + r"){6,14}\d"
)
_SPELLED: Final = re.compile(
    r"(?:\b(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple|null|eins|zwei|drei|vier|fünf|sechs|sieben|acht|neun)"
    r"\b[\s,.-]{0,3}){7}"
)

_SERVICE: Final = (
    r"(?:telegram|whatsapp|whats app|skype|discord|wechat|viber|threema|instagram|insta|snapchat|facebook|messenger|linkedin|kik|icq|"
    r"signal|zoom|teams|slack)"
)
_HANDLE: Final = r"[a-z0-9][\w.:#-]{2,40}"
_MARKED: Final = r"(?=[\w.:#-]{0,40}[\d_.:#]\w)[a-z0-9][\w.:#-]{2,40}"
_HANDLES: Final = (
    re.compile(
        rf"\b{_SERVICE}\b[\s:=-]{{0,3}}(?:(?:me|at|id|is|handle|username|name|nick|user|as|account|under)\b[\s:=-]{{0,3}}){{0,4}}@[\w.]{{3,}}"
    ),
    re.compile(rf"(?<![\w@])@[\w.]{{3,40}} (?:on|via|in|over) {_SERVICE}\b"),
    re.compile(
        rf"\b{_SERVICE}(?: (?:id|handle|username|name|nick|user|account))?(?:\s?[:=]\s?| is | as | under ){_MARKED}"
    ),
    re.compile(rf"\bmy {_SERVICE}(?: (?:id|handle|username|name|nick|user|account))?(?:\s?[:=]\s?| is ){_HANDLE}"),
    re.compile(
        rf"\b(?:add|message|write|contact|reach|ping|text|call|find|dm|hit|join) (?:me|us)(?: up)? (?:on|via|over|through|in|at) {_SERVICE}\b"
    ),
    re.compile(r"\b(?:whatsapp|telegram|skype|discord|viber) me\b"),
    re.compile(r"\bdiscord\b[^\n]{0,60}\b[\w.]{2,32}#\d{4}\b|\b[\w.]{2,32}#\d{4}\b[^\n]{0,60}\bdiscord\b"),
)


# Most of what is said has none of these, and so need not be looked at more closely.
_MAYBE_EMAIL: Final = re.compile(r"@|\sat\s|[(\[{<]\s?(?:at|ät)\s?[)\]}>]")
_MAYBE_LINK: Final = re.compile(r"://|[a-z0-9]\.[a-z]")
_MANY_DIGITS: Final = re.compile(r"\d(?:[\s./()-]{0,3}\d){6}")
_SERVICES: Final = tuple(_SERVICE.removeprefix("(?:").removesuffix(")").split("|"))
_NUMBER_WORDS: Final = re.compile(
    r"\b(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|null|eins|zwei|drei|vier|fünf|sechs)\b"
)


def find_contact(text: str, own_hosts: Collection[str] = ()) -> Kind | None:
    """What kind of contact details a text holds; None when it holds none.

    Args:
        own_hosts: names of hosts, lower case, that may be linked to: the market's own.
    """
    plain = text.lower() if text.isascii() else _plain(text)
    if _MAYBE_EMAIL.search(plain) and _EMAIL.search(plain):
        return "email"
    if _MAYBE_LINK.search(plain) and _has_link(plain, own_hosts):
        return "link"
    if any(service in plain for service in _SERVICES) and any(pattern.search(plain) for pattern in _HANDLES):
        return "handle"
    return "phone" if _has_phone(plain) else None


def _plain(text: str) -> str:
    """The text without disguises such as full-width letters, in lower case."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", _PHRASES.sub(" ", text))).lower()


def _has_link(plain: str, own_hosts: Collection[str]) -> bool:
    for found in _LINK.finditer(plain):
        address = found["address"]
        host = found["host"] if address is None else address.rpartition("@")[2].partition(":")[0].rstrip(".,;:!?)\"'")
        if host not in own_hosts and host not in _TECHNOLOGIES:
            return True
    return False


def _has_phone(plain: str) -> bool:
    if _NUMBER_WORDS.search(plain) and _SPELLED.search(plain):
        return True
    if not _MANY_DIGITS.search(plain):
        return False
    plain = _DATES.sub(" ~ ", plain)
    if not _MANY_DIGITS.search(plain):
        return False
    if _CALLED.search(plain):
        return True
    for known in (_AMOUNTS, _NUMBERED):
        plain = known.sub(" ~ ", plain)
    if _INTERNATIONAL.search(plain):
        return True
    return any(_is_national(found.group()) for found in _NATIONAL.finditer(plain))


def _is_national(found: str) -> bool:
    """Whether it has as many digits as a telephone number with its area code."""
    return 9 <= sum(character.isdigit() for character in found) <= 13
