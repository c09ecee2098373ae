"""A running system on the screen: what moves, what is told to it, and what it survives."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.scene import Scene

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

DECIDED = "#status time"
MODE = "#status .mode dd"


def test_the_candle_that_forms_moves_and_fills_appear(look: Callable[..., Watched]) -> None:
    page = look().page
    page.goto("/instruments/BINANCE:AAAUSDT?tab=candles")
    forming = page.locator("tbody tr").first
    forming.wait_for()
    changes(page, "tbody tr")
    page.goto("/accounts/paper?tab=fills")
    page.locator("tbody tr").first.wait_for()
    changes(page, "tbody tr")


def changes(page: Page, what: str) -> None:
    """Wait until the first of such elements reads otherwise than now."""
    before = page.locator(what).first.inner_text()
    page.wait_for_function(
        "([what, before]) => document.querySelector(what)?.innerText !== before", arg=[what, before]
    )


def test_a_halt_stops_what_opens_and_a_resume_lets_it(
    look: Callable[..., Watched], scene: Scene
) -> None:
    page = look().page
    page.goto("/")
    card = page.get_by_role("region", name="Account paper")
    card.get_by_role("button", name="Halt").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("What stops")
    expect(dialog).to_contain_text("What goes on")
    dialog.get_by_label("Why").fill("a test")
    dialog.get_by_role("button", name="Halt paper").click()
    expect(dialog).to_contain_text(re.compile(r"Taken, recorded at signals/\d+/\d+"))
    expect(dialog).to_contain_text("Halted at the decision of")
    time = halted(page)
    dialog.get_by_role("button", name="Close").click()
    expect(card).to_contain_text("halted")
    assert "dashboard, from 127.0.0.1" in card.locator("p.bad").inner_text()

    later = time + 4 * 60_000
    scene.eventually(lambda: account(page, "paper")["time"] >= later)
    assert scene.bought("paper", time) == []

    card.get_by_role("button", name="Resume").click()
    dialog.get_by_role("button", name="Resume paper").click()
    expect(dialog).to_contain_text("Resumed at the decision of")
    dialog.get_by_role("button", name="Close").click()
    expect(card).to_contain_text("trading")
    scene.eventually(lambda: scene.bought("paper", later))


def account(page: Page, name: str) -> Any:
    """Return what the page knows of an account."""
    ask = """async name => (await import("/static/js/live.js")).live.accounts.get(name)"""
    return page.evaluate(ask, name)


def halted(page: Page) -> int:
    return int(account(page, "paper")["halt"]["time"])


def test_flatten_wants_the_account_s_name(look: Callable[..., Watched]) -> None:
    page = look().page
    page.goto("/accounts/real")
    before = page.evaluate("async () => (await fetch('/api/commands')).json()")["rows"]
    page.get_by_role("group", name="Controls of real").get_by_role("button", name="Flatten").click()
    dialog = page.get_by_role("dialog")
    go = dialog.get_by_role("button", name="Flatten real")
    expect(go).to_be_disabled()
    dialog.get_by_label("Type real to go on").fill("rea")
    expect(go).to_be_disabled()
    dialog.get_by_label("Type real to go on").fill("real")
    expect(go).to_be_enabled()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert page.evaluate("async () => (await fetch('/api/commands')).json()")["rows"] == before


def test_a_fill_is_explained_down_to_its_trades(look: Callable[..., Watched], scene: Scene) -> None:
    page = look().page
    fill = scene.fills("paper")[0]  # one that the sink has stored by now
    page.goto(f"/explain?name={fill.order_id}/{fill.part}")
    page.locator(".kind.trade").first.wait_for()
    page.get_by_role("button", name="Unfold all").click()
    told = page.locator("ul.tree").inner_text()
    for kind in ("fill", "order", "allocation", "portfolio", "signal", "candle", "trades"):
        expect(page.locator(f".kind.{kind}").first).to_be_visible()
    assert f"id {fill.trade_id}" in told
    page.locator("a.place", has_text="orders/").first.click()
    record = page.locator("details.record[open] .json").first
    expect(record).to_contain_text(fill.order_id)


def test_a_lost_connection_leaves_no_hole(look: Callable[..., Watched], scene: Scene) -> None:
    watched = look(may_fail=True)  # a browser notes each refused connection by itself
    page = watched.page
    page.goto("/accounts/paper?tab=fills")
    page.locator("tbody tr").first.wait_for()
    known = len(scene.fills("paper"))
    with scene.without(scene.door):
        expect(page.locator("#trouble")).to_contain_text("connection to the dashboard was lost")
        expect(page.locator(MODE)).to_contain_text("RECONNECTING")
        scene.eventually(lambda: len(scene.fills("paper")) > known)
    missed = scene.fills("paper")[known]
    expect(page.locator(MODE)).not_to_contain_text("RECONNECTING")
    page.wait_for_function(
        "id => document.querySelector('tbody').innerHTML.includes(id)",
        arg=f"trades%2F{missed.instrument.replace(':', '%3A')}%2F{missed.trade_id}",
    )
    shown = page.locator("tbody tr td:last-child").all_inner_texts()
    assert len(shown) == len(set(shown))


def test_live_goes_on_while_the_database_is_away(
    look: Callable[..., Watched], scene: Scene
) -> None:
    watched = look(may_fail=True)
    page = watched.page
    page.goto("/")
    page.locator(DECIDED).wait_for()
    with scene.without(scene.database):
        expect(page.locator("#trouble")).to_contain_text("Database:")
        changes(page, DECIDED)
        page.goto("/accounts/paper?tab=fills")
        expect(page.locator("#tab .failure")).to_contain_text("The database is away")
    page.locator("#tab tbody tr").first.wait_for()
    expect(page.locator("#trouble")).not_to_contain_text("Database:")
