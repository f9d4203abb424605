"""The JSON module given to python-socketio and python-engineio: orjson in the standard library's clothes.

orjson refuses what the standard module lets through and browsers then choke on: `NaN`, `1e400`, lone surrogates, nesting
beyond 1024 levels. An integer beyond 64 bits becomes a float, so a strictly typed field refuses it.
"""

from __future__ import annotations

from typing import Any

import orjson


def dumps(value: Any, **_style: Any) -> str:
    """Compact JSON text. Style arguments of the standard library, such as `separators`, are what orjson does anyway."""
    return orjson.dumps(value).decode()


def loads(text: str | bytes, **_hooks: Any) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: not valid JSON.
    """
    return orjson.loads(text)
