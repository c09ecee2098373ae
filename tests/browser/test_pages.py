"""Every page, light and dark, wide and narrow: whole, quiet, and within the window."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.scene import Scene

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PAGES = {
    "/": "section.card .tile",
    "/instruments/BINANCE:AAAUSDT": ".plot canvas, svg.chart",
    "/instruments/BINANCE:AAAUSDT?interval=5m&tab=candles": "tbody tr",
    "/accounts/paper": "tbody tr",
    "/accounts/paper?tab=fills": "tbody tr",
    "/accounts/paper?tab=orders": "tbody tr",
    "/accounts/paper?tab=refusals": "#tab table, #tab .empty",
    "/accounts/real?tab=strategies": "tbody tr",
    "/accounts/real?tab=months": "table.months",
    "/explain": "ul.tree a",
    "/runs": ".empty",
    "/topics": "tbody tr",
    "/topics/fills": "details.record",
    "/about": "dl.defs",
}
LOOKS = [(1280, 860, "light"), (390, 844, "dark")]
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"


@pytest.mark.parametrize(("width", "height", "scheme"), LOOKS)
def test_every_page_is_whole(
    look: Callable[..., Watched], width: int, height: int, scheme: str
) -> None:
    watched = look(width, height, scheme)
    for path, sign in PAGES.items():
        is_whole(watched.page, path, sign)
        assert watched.wrong == [], path
    light = watched.page.evaluate(BACKGROUND) == "rgb(247, 248, 248)"
    assert light == (scheme == "light")


def is_whole(page: Page, path: str, sign: str) -> None:
    """Open a page and see that all of it came, and that nothing sticks out."""
    page.goto(path)
    page.locator(f"main :is({sign})").first.wait_for()
    expect(page.locator("main .loading")).to_have_count(0)
    assert page.locator("main .failure").all_inner_texts() == [], path
    expect(page.locator("#status .mode dd")).not_to_be_empty()
    expect(page.locator("#proof")).not_to_be_empty()
    assert page.evaluate(WIDER) <= 0, path


def test_the_switch_outlasts_the_page(look: Callable[..., Watched]) -> None:
    page = look().page
    page.goto("/about")
    button = page.get_by_role("button", name="Theme:")
    button.click()
    button.click()
    expect(button).to_have_accessible_name("Theme: dark")
    assert page.evaluate(BACKGROUND) == "rgb(18, 22, 26)"
    page.reload()
    assert page.evaluate(BACKGROUND) == "rgb(18, 22, 26)"


def test_without_the_chart_library_plain_charts_and_a_command_stand_there(
    look: Callable[..., Watched],
) -> None:
    page = look().page

    def without(route: object) -> None:
        answer = route.fetch()  # type: ignore[attr-defined]
        route.fulfill(response=answer, json=answer.json() | {"charts": False})  # type: ignore[attr-defined]

    page.route("**/api/session", without)
    for path in ("/", "/instruments/BINANCE:AAAUSDT", "/accounts/paper"):
        page.goto(path)
        page.locator("main svg.chart").first.wait_for()
        expect(page.locator("main canvas")).to_have_count(0)
        expect(page.get_by_text("./run web").first).to_be_visible()


def test_the_keyboard_suffices(look: Callable[..., Watched]) -> None:
    page = look().page
    page.goto("/accounts/paper")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.get_by_role("tab", name="Positions").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Orders")).to_be_focused()
    expect(page.get_by_role("tab", name="Orders")).to_have_attribute("aria-selected", "true")
    named = page.locator("#status .def").first
    named.focus()
    expect(page.get_by_role("tooltip")).to_contain_text("cash")
    page.keyboard.press("Escape")
    expect(page.get_by_role("tooltip")).to_be_hidden()


def test_what_is_not_there_is_said(look: Callable[..., Watched], scene: Scene) -> None:
    watched = look(may_fail=True)  # a browser notes each 404 by itself
    page = watched.page
    page.goto("/explain?name=paper/BINANCE:AAAUSDT/momentum/1")
    expect(page.locator("main .failure")).to_contain_text("There is no such thing")
    page.goto("/accounts/nobody")
    expect(page.locator("main .empty")).to_contain_text("There is no account nobody")
    page.goto("/topics/fills?partition=0&key=nobody")
    expect(page.locator("main .empty")).to_contain_text("The filter is empty")
    assert all(scene.address in wrong for wrong in watched.wrong)
