"""A running dashboard's link enters; pictures of its pages leave, in light and dark, two widths.

Run it beside a demo: `python -m tests.browser.pictures LINK FOLDER`, where LINK is what
`lockstep dashboard` printed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import NAMES

WIDTHS = {"wide": (1280, 860), "narrow": (390, 844)}
SETTLED = 2_500  # ms in which a page has drawn what it asked for and what is live
NEWEST_FILL = """
async () => (await (await fetch("/api/fills?limit=1")).json()).rows[0].name
"""


def take(link: str, folder: Path) -> None:
    """Take every picture."""
    home = "{0.scheme}://{0.netloc}".format(urlsplit(link))
    browser_path = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path)
        first = browser.new_context(base_url=home)
        kept = _signed_in(first.new_page(), link)
        for scheme in ("light", "dark"):
            for width in WIDTHS:
                context = browser.new_context(
                    **_look(scheme, width), base_url=home, storage_state=kept[0]
                )
                _all(context.new_page(), kept[1], folder, f"{scheme}-{width}")
                context.close()
        browser.close()


def _signed_in(page: Page, link: str) -> tuple[Any, str]:
    page.goto(link)
    page.locator("#status time").wait_for()
    return page.context.storage_state(), page.evaluate(NEWEST_FILL)


def _look(scheme: str, width: str) -> dict[str, Any]:
    wide, high = WIDTHS[width]
    return {"viewport": {"width": wide, "height": high}, "color_scheme": scheme}


def _all(page: Page, fill: str, folder: Path, look: str) -> None:
    account = fill.partition("/")[0]
    pages = {
        "overview": "/",
        "instrument": "/instruments",
        "account": f"/accounts/{account}?tab=fills",
        "explain": f"/explain?name={quote(fill, safe='')}",
        "runs": "/runs",
        "topics": "/topics",
    }
    for name, path in pages.items():
        page.goto(path)
        page.wait_for_timeout(SETTLED)
        page.screenshot(path=folder / f"{name}-{look}.png")


if __name__ == "__main__":
    take(sys.argv[1], Path(sys.argv[2]))
