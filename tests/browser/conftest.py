"""A running dashboard for all tests of the browser, and pages that report what went wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Request,
    expect,
    sync_playwright,
)

from app.commands.stack import CHECKOUT
from tests.browser.scene import DEADLINE, PASSWORD, Loop, Scene, charts, playing
from tests.integration.conftest import NEEDED

# All of this ends with this folder (scope "package"): while Playwright is open, its loop lets no
# asynchronous test of the same process run.
NAMES = ("chromium", "chromium-browser", "google-chrome")
expect.set_options(timeout=60_000)  # a busy machine is slow
MISSING = "needs a Chromium: install the package chromium, or run `playwright install chromium`"


@dataclass
class Watched:
    """A page, and what it should never have done."""

    page: Page
    home: str
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.text} {message.location.get('url', '')}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.wrong.append(f"asked for {request.url}")


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.skip(f"needs a real broker and database: set {', '.join(missing)}, as ./run test")
    if not charts() and shutil.which("npm"):
        # Where it can't be fetched the pages draw plain charts, and the tests take those, too.
        subprocess.run([CHECKOUT / "deploy/web/build"], check=False)  # noqa: S603 - ours
    loop, stack = Loop(), AsyncExitStack()
    try:
        folder: Path = tmp_path_factory.mktemp("browser")
        yield Scene(loop, *loop.run(stack.enter_async_context(playing(folder))))
    finally:
        loop.run(stack.aclose())
        loop.close()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(
                executable_path=found,
                args=["--js-flags=--expose-gc", "--enable-precise-memory-info"],
            )
        except Error:
            # Where everything is to be proven, what is left out would look as if it were.
            (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def signed_in(browser: Browser, scene: Scene) -> Any:
    """Sign in by the page, once; what a browser then keeps."""
    context = browser.new_context()
    context.set_default_timeout(DEADLINE * 1000)
    page = context.new_page()
    page.goto(f"{scene.address}/accounts")
    page.get_by_label("Password of this dashboard").fill("something else")
    page.get_by_role("button", name="Sign in").click()
    page.locator(".bad").wait_for()
    page.get_by_label("Password of this dashboard").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#status time").wait_for()
    assert page.url.startswith(f"{scene.address}/accounts")  # where it was to go
    kept = context.storage_state()
    context.close()
    return kept


@pytest.fixture
def look(browser: Browser, scene: Scene, signed_in: Any) -> Iterator[Callable[..., Watched]]:
    """Open pages in a window of a size and a scheme; nothing may have gone wrong in them."""
    opened: list[Watched] = []

    def opener(
        width: int = 1280, height: int = 860, scheme: Any = "light", *, may_fail: bool = False
    ) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            storage_state=signed_in,
            base_url=scene.address,
        )
        context.set_default_timeout(DEADLINE * 1000)
        watched = Watched(context.new_page(), scene.address)
        watched.watch()
        if not may_fail:
            opened.append(watched)
        return watched

    yield opener
    for watched in opened:
        assert watched.wrong == []
    for context in browser.contexts:
        context.close()
