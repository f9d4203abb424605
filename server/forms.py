"""Forms of values in settings, each checked when the process starts."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Final

from pydantic import AfterValidator

_ORIGIN: Final = re.compile(r"(?P<scheme>https?)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def origin_scheme(origin: str) -> str | None:
    """`http` or `https`; None for what is no origin of a page, such as `null`."""
    found = _ORIGIN.fullmatch(origin)
    return found["scheme"] if found else None


def without_default_port(host: str, scheme: str) -> str:
    """A host in the form in which browsers name it in an origin of that scheme."""
    return host.lower().removesuffix(_DEFAULT_PORTS[scheme])


def _origin(text: str) -> str:
    text = text.strip().rstrip("/").lower()
    scheme = origin_scheme(text)
    if scheme is not None:
        return without_default_port(text, scheme)
    if text != "*":
        raise ValueError("must be like https://app.example, or *")
    return text


def _network(text: str) -> str:
    return str(ip_network(text, strict=False))


OriginText = Annotated[str, AfterValidator(_origin)]
"""An origin, such as `https://app.example`, or `*`."""

NetworkText = Annotated[str, AfterValidator(_network)]
"""A network, such as `10.0.0.0/8`; an address is a network of one."""
