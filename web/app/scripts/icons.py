"""Draws the PNG icons from public/icon.svg with Debian's Chromium: `python web/app/scripts/icons.py`, after the mark has changed."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, sync_playwright

PUBLIC = Path(__file__).parents[1] / "public"
INK = "#13211d"
SAFE = 0.74
"""Of a maskable icon's width, what the mark may take: systems cut circles out of them."""


def draw(page: Page, name: str, size: int, *, mark: float = 1.0, ground: str = "transparent") -> None:
    """One icon: the mark on a ground."""
    page.set_viewport_size({"width": size, "height": size})
    page.set_content(
        f'<body style="margin:0;display:grid;place-items:center;height:100vh;background:{ground}">'
        f"{(PUBLIC / 'icon.svg').read_text()}"
        f"<style>svg{{width:{size * mark}px;height:{size * mark}px}}</style>"
    )
    page.screenshot(path=PUBLIC / f"{name}.png", omit_background=True)


if __name__ == "__main__":
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        draw(page, "icon-192", 192)
        draw(page, "icon-512", 512)
        draw(page, "icon-180", 180, ground=INK)
        draw(page, "icon-maskable-512", 512, mark=SAFE, ground=INK)
        browser.close()
