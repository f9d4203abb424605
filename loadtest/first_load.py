"""What a first visit of the market page costs, in a real browser: bytes over the wire, and times on the way to a live page.

    python -m loadtest.first_load [http://127.0.0.1:8080] [--visits 5]

The address is that of a running market (`make run`). Every visit has a browser context of its own, so nothing is cached. Printed are medians;
times are ms since the visit began. Debian's package `chromium`, or Chromium on PATH, is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections import Counter
from typing import Any, Final

from playwright.async_api import Browser, async_playwright, expect

from tests.cluster.debian import find
from tests.web.browser.conftest import FLAGS

_MARKS: Final = """() => new Promise(resolve => new PerformanceObserver(list => {
    const [page] = performance.getEntriesByType("navigation");
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    resolve({
        "document interactive": page.domInteractive,
        "first contentful paint": paint.startTime,
        "largest contentful paint": list.getEntries().at(-1).startTime,
    });
}).observe({type: "largest-contentful-paint", buffered: true}))"""

_SHIFT: Final = """() => new Promise(resolve => {
    let sum = 0;
    new PerformanceObserver(list => { for (const one of list.getEntries()) if (!one.hadRecentInput) sum += one.value; })
        .observe({type: "layout-shift", buffered: true});
    setTimeout(() => resolve(sum), 200);
})"""


async def visit(browser: Browser, url: str) -> dict[str, float]:
    """One first visit: bytes by kind (`kB of ...`), and times (`ms to ...`)."""
    context = await browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="en-GB", service_workers="block"
    )
    page = await context.new_page()
    devtools = await context.new_cdp_session(page)
    await devtools.send("Network.enable")
    kinds: dict[str, str] = {}
    sizes: Counter[str] = Counter()

    def responded(told: dict[str, Any]) -> None:
        kinds[told["requestId"]] = told["type"]

    def finished(told: dict[str, Any]) -> None:
        sizes[kinds.get(told["requestId"], "Other")] += int(told["encodedDataLength"])

    devtools.on("Network.responseReceived", responded)
    devtools.on("Network.loadingFinished", finished)
    try:
        await page.goto(url)
        await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
        live = await page.evaluate("() => performance.now()")
        marks = await page.evaluate(_MARKS)
        shift = await page.evaluate(_SHIFT)
    finally:
        await context.close()
    figures = {f"kB of {kind}": size / 1000 for kind, size in sizes.items()}
    figures["kB in all"] = sum(sizes.values()) / 1000
    figures |= {f"ms to {mark}": at for mark, at in marks.items()}
    return figures | {"ms to live": live, "layout shift": shift}


async def run(url: str, visits: int) -> None:
    """Visit, print the medians."""
    async with async_playwright() as playwright:
        program = find("chromium", "chromium")
        browser = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        figures = [await visit(browser, url) for _ in range(visits)]
        await browser.close()
    for name in figures[0]:
        print(f"{name:32}{statistics.median(one.get(name, 0.0) for one in figures):12,.3f}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8080", help="of a running market")
    parser.add_argument("--visits", type=int, default=5, help="first visits (5)")
    options = parser.parse_args()
    asyncio.run(run(options.url, options.visits))


if __name__ == "__main__":
    main()
