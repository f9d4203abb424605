"""How a receiver knows that a delivery is ours, and recent."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "whsec_"

VERIFICATION: Final = '''
```python
import hashlib, hmac, time

def is_genuine(secret: str, signature: str, body: bytes, tolerance_s: int = 300) -> bool:
    """`signature` is the header Rialto-Signature, `body` the raw bytes of the request."""
    parts = [part.partition("=") for part in signature.split(",")]
    t = next(value for name, _, value in parts if name == "t")
    wanted = hmac.new(secret.encode(), t.encode() + b"." + body, hashlib.sha256).hexdigest()
    signed = any(name == "v1" and hmac.compare_digest(value, wanted) for name, _, value in parts)
    return signed and abs(time.time() - int(t)) <= tolerance_s
```
'''
"""What a receiver does with the header, as it is shown in the documentation."""


def new_secret() -> str:
    """256 random bits; all of the text, the prefix included, is the key of the signatures."""
    return PREFIX + secrets.token_urlsafe(32)


def signature(keys: Iterable[str], t: int, body: bytes) -> str:
    """The header `Rialto-Signature`: `t=<t>,v1=<hex>`, one `v1` per key.

    Args:
        keys: secrets. t: seconds since the epoch, now. body: as it is posted.
    """
    signed = b"%d.%b" % (t, body)
    return ",".join([f"t={t}", *(f"v1={hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()}" for key in keys)])
