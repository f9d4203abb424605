"""Whether everybody can use a page, as far as axe can tell."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Final

from playwright.async_api import Page

from tests.contract import node

_GRAVE: Final = ("serious", "critical")

_RUN: Final = """
() => axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.map(
  ({ id, impact, help, nodes }) => ({ id, impact, help, places: nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`) })
))
"""


async def accessible(page: Page) -> None:
    """Fail if axe finds anything serious on the page as it is now."""
    await page.evaluate(await asyncio.to_thread(_source))
    found = await page.evaluate(_RUN)
    grave = [finding for finding in found if finding["impact"] in _GRAVE]
    assert not grave, "\n".join(
        f"{finding['impact']}: {finding['help']} ({finding['id']})\n  " + "\n  ".join(finding["places"])
        for finding in grave
    )


@cache
def _source() -> str:
    return (node.packages(node.FOLDER) / "axe-core" / "axe.min.js").read_text()
