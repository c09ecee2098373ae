"""A broker and a database that are killed and started again enter; an open page outlives both."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.commands.stack import local_folder
from tests.browser.scene import DEADLINE, PASSWORD, Loop, Scene, playing
from tests.browser.test_live import DECIDED
from tests.faults.servers import Broker, Postgres, Server, ServerError
from tests.integration.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture
def servers() -> Iterator[tuple[Loop, Broker, Postgres]]:
    """Start both; the environment names them until they are stopped."""
    if "LOCKSTEP_DATABASE__PASSWORD" not in os.environ:
        pytest.skip("needs a real broker and database, as ./run test has them")
    before, loop = dict(os.environ), Loop()
    # Not a folder of pytest's: PostgreSQL's user may not enter those.
    folder = local_folder() / f"browser-{uuid.uuid4().hex[:8]}"
    broker, database = Broker(folder, local_folder()), Postgres(folder)
    try:
        loop.run(broker.start())
        loop.run(database.start())
        yield loop, broker, database
    except ServerError as error:
        pytest.skip(f"needs servers that may be killed: {error}")
    finally:
        stop(loop, database)
        stop(loop, broker)
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.clear()
        os.environ.update(before)


def stop(loop: Loop, server: Server) -> None:
    try:
        loop.run(server.stop())
    except ServerError:
        return  # it was never started


def test_a_page_outlives_a_broker_and_a_database(
    browser: Browser, servers: tuple[Loop, Broker, Postgres], tmp_path: Path
) -> None:
    loop, broker, database = servers
    stack = AsyncExitStack()
    try:
        scene = Scene(loop, *loop.run(stack.enter_async_context(playing(tmp_path, held=False))))
        context = browser.new_context(base_url=scene.address)
        context.set_default_timeout(DEADLINE * 1000)
        expect.set_options(timeout=DEADLINE * 1000)
        context.request.post("/login", data={"password": PASSWORD})
        page = context.new_page()
        page.goto("/")
        page.locator(DECIDED).wait_for()
        page.evaluate("window.opened = 'once'")

        broker.send(signal.SIGKILL)
        expect(page.locator("#trouble")).to_contain_text("Kafka")
        loop.run(broker.start())
        go_on(scene, page)
        expect(page.locator("#trouble")).not_to_contain_text("Kafka")

        database.send(signal.SIGKILL)
        expect(page.locator("#trouble")).to_contain_text("Database")
        goes_on(scene, page)
        loop.run(database.again())
        expect(page.locator("#trouble")).not_to_contain_text("Database")
        goes_on(scene, page)
        assert page.evaluate("window.opened") == "once"
        context.close()
    finally:
        loop.run(stack.aclose())


def go_on(scene: Scene, page: Page) -> None:
    """Wait for the next decision; a worker that has ended is started again, as it is in earnest."""
    before = page.locator(DECIDED).first.inner_text()

    def decided() -> bool:
        if worker(scene).process.returncode is not None:
            scene.loop.run(scene.installation.start())
        return page.locator(DECIDED).first.inner_text() != before

    scene.eventually(decided)


def goes_on(scene: Scene, page: Page) -> None:
    """Wait for the next decision of a worker that waits for a database, and does not end."""
    before = page.locator(DECIDED).first.inner_text()

    def decided() -> bool:
        assert worker(scene).process.returncode is None, worker(scene).lines[-3:]
        return page.locator(DECIDED).first.inner_text() != before

    scene.eventually(decided)


def worker(scene: Scene) -> Worker:
    """Return the worker; the second process of a scene is the dashboard."""
    first, _, *later = scene.installation.workers
    return later[-1] if later else first
