"""A tab that has been open for long: what came is shown, and nothing of it piles up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

HOURS = 10
MOST_GROWN = 6_000_000
"""Bytes: lists may still fill up to what they keep; ten hours of messages are 20 MB and more."""

MOST_ELEMENTS = 20_000
"""On a page whose lists are full."""

KEEP = """
window.EventSource = class extends EventSource {
  constructor(...words) {
    super(...words);
    window.stream = this;
    window.kept = [];
    for (const name of ["records", "prices", "status"]) {
      super.addEventListener(name, (event) => {
        if (event.isTrusted) window.kept.push([name, event.data]);
      });
    }
  }
};
"""
"""Remembers what the server sent, and lets a test send it once more."""

LIVE_ON = """
async ([hours, first]) => {
  const parsed = window.kept.map(([name, data]) => [name, JSON.parse(data)]);
  const messages = parsed.filter(([name, data]) => name !== "records" || data.records.length);
  const records = messages.flatMap(([name, data]) => data.records ?? []);
  const times = records.map((each) => each.record.time).filter(Boolean);
  const minutes = Math.ceil((Math.max(...times) - Math.min(...times)) / 60000) + 1;
  const rounds = Math.ceil((hours * 60) / minutes);
  const later = (round) => (key, value) => {
    const time = typeof value === "number" && value > 1e12 && value < 1.65e12;
    if (time) return value + minutes * 60000 * round;
    if (key === "offset") return value + round * 1000000;
    if ((key === "id" || key === "order_id") && value) return `${value}~${round}`;
    return value;
  };
  let sent = 0;
  for (let round = first + 1; round <= first + rounds; round++) {
    for (const [name, data] of messages) {
      const text = JSON.stringify(data, later(round));
      window.stream.dispatchEvent(new MessageEvent(name, { data: text }));
      sent += 1;
    }
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
  await new Promise((done) => setTimeout(done, 600)); // what is painted four times a second
  gc();
  const elements = document.querySelectorAll("*").length;
  return { sent, rounds, elements, heap: performance.memory.usedJSHeapSize };
}
"""


@pytest.mark.parametrize(
    "path", ["/", "/instruments/BINANCE:AAAUSDT", "/accounts/paper?tab=orders"]
)
def test_a_tab_of_ten_hours_more_has_not_grown(look: Callable[..., Watched], path: str) -> None:
    page = look(may_fail=True).page
    page.add_init_script(KEEP)
    page.goto(path)
    expect(page.locator("main .loading")).to_have_count(0)
    page.wait_for_function(
        "() => window.kept?.filter(([name, data]) => data.includes('portfolio')).length > 1"
    )
    page.context.set_offline(True)  # from here on only what is sent once more comes
    before = live_on(page, 0)
    after = live_on(page, before["rounds"])
    assert after["sent"] > HOURS * 10
    assert after["heap"] - before["heap"] < MOST_GROWN
    assert after["elements"] < MOST_ELEMENTS
    page.context.set_offline(False)


def live_on(page: Page, first: int) -> dict[str, int]:
    """Let ten more hours come; tell what the page then holds."""
    found: dict[str, int] = page.evaluate(LIVE_ON, [HOURS, first])
    return found
