"""The addresses that a webhook may have, as far as their text tells.

What a name stands for is checked where it is connected to, `handlers.webhooks.sender`: only there it can't change any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from pydantic import AnyUrl, TypeAdapter, ValidationError

from handlers.webhooks.addresses import is_public

LONGEST: Final = 2_000

_URL: Final = TypeAdapter(AnyUrl)
_BLANK: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\\ud800-\udfff]")
"""What parsers of URLs disagree about."""

_WEB_PORTS: Final = frozenset({80, 443})
_LAST_WELL_KNOWN_PORT: Final = 1023

_LOCAL_NAMES: Final = frozenset({"localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa", "onion"})
"""Last labels of names that are not of the public Internet."""

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Reach:
    """What this installation lets webhooks reach.

    Attributes:
        private: also addresses that are not public, and over http.
        plain: also http.
    """

    private: bool = False
    plain: bool = False

    @property
    def schemes(self) -> tuple[str, ...]:
        """Those that a URL may have."""
        return ("https", "http") if self.private or self.plain else ("https",)


def normal_url(text: str, reach: Reach) -> str:
    """The URL as it will be asked for: ASCII, in WHATWG's normal form, in which every way to write an IPv4 address is four decimals.

    Ports are 80, 443 and those from 1024 on, so that nobody can have mail or shell servers talked to.

    Raises:
        ValueError: it may not be one; the message says why.
    """
    if len(text) > LONGEST:
        raise ValueError(f"must have at most {LONGEST} characters")
    if _BLANK.search(text):
        raise ValueError("must not contain spaces, backslashes or control characters")
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in reach.schemes:
        raise ValueError("must be a URL beginning with " + " or ".join(f"{name}://" for name in reach.schemes))
    if "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]:
        raise ValueError("must not contain a user or a password")
    try:
        url = _URL.validate_python(text)
    except ValidationError:
        raise ValueError("is not a URL") from None
    if url.fragment is not None:
        raise ValueError("must not have a fragment")
    if url.port is None or not (url.port in _WEB_PORTS or url.port > _LAST_WELL_KNOWN_PORT):
        raise ValueError("must have the port 80, 443 or one from 1024 on")
    _check_host(url.host or "", reach)
    if len(str(url)) > LONGEST:
        raise ValueError(f"must have at most {LONGEST} characters")
    return str(url)


def _check_host(host: str, reach: Reach) -> None:
    numeric = host.strip("[]")
    try:
        ip_address(numeric)
    except ValueError:
        _check_name(host, reach)
    else:
        if not reach.private and not is_public(numeric):
            raise ValueError("must not name a private or otherwise special address")


def _check_name(host: str, reach: Reach) -> None:
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("has no valid host name")
    if not reach.private and (len(labels) == 1 or labels[-1] in _LOCAL_NAMES):
        raise ValueError("must name a host of the public Internet")


def lane_of(url: str) -> str:
    """What deliveries to the same receiver have in common: the host of a normal URL."""
    return (_URL.validate_python(url).host or "").removesuffix(".")
