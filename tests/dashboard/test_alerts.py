"""Who should know is told, once, by a webhook and by Telegram, and told again when a try failed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.config import load
from app.config_sections import Alerts
from app.core.events import DeadLetter, Gap, Halted, Identity, Limit, Message, Record, RiskReport
from app.dashboard.alerts.notices import Happenings, Notice, Standing
from app.dashboard.alerts.rate import HOUR, URGENT, Rate
from app.dashboard.live.placed import Placed
from app.errors import ConfigurationError
from app.market.tape import VOID
from app.runtime.codec import encode
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Entry
from app.storage.database import Database
from tests.dashboard.conftest import Site, changed, served
from tests.replay.market import A

KINDS = st.sampled_from(["gap", "feed_stale", "dead_letter"])
NOTICES = st.builds(Notice, KINDS, st.sampled_from("abc"), st.just("says"), st.booleans())


def report(loss: str) -> RiskReport:
    zero = Decimal(0)
    return RiskReport(
        "alpha", 1000, 1, Decimal(9000), Decimal(10_000), Decimal(10_000),
        Decimal(loss), zero, zero, False, 0, 0,
    )  # fmt: skip


HALTED = Halted("alpha", 1000, 1, Limit.DAILY_LOSS, "5000 lost", False)
LETTER = DeadLetter("trades", 1, 2, "k", "candles", "no JSON", "eA==", 1)
LOST = Gap(A, 7, 9, 1000, 2000, "it was not there")


def kinds(happenings: Happenings, *records: Record) -> list[str]:
    return [n.kind for record in records for n in happenings.of(Placed(record))]


def test_a_loss_is_told_at_each_of_its_steps(site: Site) -> None:
    happenings = Happenings(site.settings.accounts())
    losses = ["3999", "4000", "4999", "5000", "6000", "10", "4000"]
    told = [kinds(happenings, report(loss)) for loss in losses]
    near, full = ["daily_loss_near"], ["daily_loss"]
    assert told == [[], near, [], full, [], [], near]


def test_records_say_what_they_say_once(site: Site) -> None:
    happenings = Happenings(site.settings.accounts())
    assert kinds(happenings, HALTED, LETTER, LOST, LOST) == ["halt", "dead_letter", "gap"]
    assert kinds(happenings, Gap(A, 20, 20, 1000, 1000, VOID)) == []


def test_what_goes_on_is_told_when_it_begins_to_matter_and_when_it_is_over() -> None:
    standing = Standing({"worker_down": 30.0})
    down = {("worker_down", "w"): "nobody"}
    steps = [(0, down), (29, {}), (40, down), (69, down), (70, down), (99, down), (100, {})]
    told = [[n.over for n in standing.update(now, held)] for now, held in steps]
    assert told == [[], [], [], [], [False], [], [True]]


@given(st.lists(st.tuples(NOTICES, st.integers(0, 600)), max_size=60), st.integers(1, 5))
def test_no_hour_has_more_than_it_may_and_nothing_is_lost_uncounted(
    coming: list[tuple[Notice, int]], hourly: int
) -> None:
    rate, now, sent, held = Rate(hourly, 300.0), 0.0, list[float](), 0
    for notice, pause in coming:
        now += pause
        if rate.admit(notice, now):
            sent.append(now)
        else:
            held += 1
    assert all(sum(at <= each < at + HOUR for each in sent) <= hourly for at in sent)
    summary = rate.summary(now + 300)
    assert (summary is None) == (held == 0)
    assert summary is None or summary.says.startswith(f"{held} more")
    assert rate.summary(now + HOUR) is None


@pytest.mark.parametrize("kind", sorted(URGENT))
def test_no_flood_holds_back_what_is_urgent(kind: str) -> None:
    rate = Rate(1, 300.0)
    assert rate.admit(Notice("gap", "a", ""), 0)
    assert not rate.admit(Notice("gap", "b", ""), 1)
    assert rate.admit(Notice(kind, "a", ""), 2)
    assert not rate.admit(Notice(kind, "a", ""), 3)
    assert rate.admit(Notice(kind, "a", "", over=True), 4)
    assert rate.admit(Notice(kind, "a", ""), 5)


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        ("webhook: https://a/b", {}, "set LOCKSTEP_ALERTS__WEBHOOK"),
        ('telegram_token: "1:x"', {}, "set LOCKSTEP_ALERTS__TELEGRAM_TOKEN"),
        ("quiet: 1m", {"WEBHOOK": "ftp://secret"}, "must begin with https://"),
        ("quiet: 1m", {"TELEGRAM_TOKEN": "secret"}, "need each other"),
        ("telegram_chat: a chat", {}, "telegram_chat was 'a chat'"),
    ],
)
def test_settings_that_would_tell_nobody_or_everybody_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, environment: Any, sentence: str
) -> None:
    (tmp_path / "app.yaml").write_text(f"alerts:\n  {words}\n")
    (tmp_path / "database.yaml").write_text("")
    for name, value in environment.items():
        monkeypatch.setenv(f"LOCKSTEP_ALERTS__{name}", value)
    with pytest.raises(ConfigurationError, match=re.escape(sentence)) as refused:
        load(tmp_path)
    assert "secret" not in str(refused.value)


@dataclass
class Desk:
    """Takes alerts as a webhook and as Telegram's API; the first try of each fails."""

    address: str = ""
    webhook: list[Any] = field(default_factory=list)
    telegram: list[Any] = field(default_factory=list)
    refused: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        to = self.telegram if request.path == "/bot42:token/sendMessage" else self.webhook
        if not to and self.refused < 2:
            self.refused += 1
            return web.Response(status=429, headers={"Retry-After": "1"})
        to.append(await request.json())
        self.came.set()
        return web.json_response({"ok": True})

    async def until(self, wanted: set[str]) -> None:
        """Wait until every kind was told by both ways."""
        async with asyncio.timeout(120):
            while not self.whole(wanted):
                self.came.clear()
                await self.came.wait()

    def whole(self, wanted: set[str]) -> bool:
        kinds = {each["kind"] for each in self.webhook}
        return wanted <= kinds and len(self.telegram) == len(self.webhook)


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    found = Desk()
    application = web.Application()
    application.router.add_post("/{path:.*}", found.take)
    runner = web.AppRunner(application)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    found.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


EVERY = {
    "halt", "daily_loss_near", "daily_loss", "feed_stale", "gap", "dead_letter", "verify",
    "worker_down",
}  # fmt: skip
PROOF = """
INSERT INTO replays (replay_id, kind, input, configuration, report, finished_at)
VALUES ('alerts', 'verify', '{}', '[]', '{"records": 9, "differences": 2, "first": null}', now())
"""


def entry(topic: str, key: str, number: int, record: Record) -> Entry:
    identity = Identity("risk", key, key, 10**7 + number) if topic == "risk" else None
    return Entry(topic, key.encode(), encode(Message(record, identity, identity and "nothing")))


@pytest.mark.integration
async def test_a_receiver_is_told_of_everything_that_matters(site: Site) -> None:
    async with desk() as receiver:
        alerts = Alerts(
            webhook=SecretStr(f"{receiver.address}/hook"),
            telegram_token=SecretStr("42:token"),
            telegram_chat="-100",
            telegram_api=receiver.address,
            stale_after=1.0,
            down_after=1.0,
        )
        settings = changed(site.settings, alerts=alerts.model_dump())
        async with Database(settings.database.storage()) as database:
            await database.execute(PROOF)
            async with served(settings):
                await receiver.until({"worker_down", "feed_stale", "verify"})
                await append(site)
                await receiver.until(EVERY)
            await database.execute("DELETE FROM replays WHERE replay_id = 'alerts'")
    assert receiver.refused == 2
    texts = [each["text"] for each in receiver.webhook]
    assert sorted(each["text"] for each in receiver.telegram) == sorted(texts)
    assert {each["chat_id"] for each in receiver.telegram} == {"-100"}
    assert len(texts) == len(set(texts))
    assert not any("token" in text or "127.0.0.1" in text for text in texts)


async def append(site: Site) -> None:
    """Append what a bad day brings."""
    kafka = site.settings.kafka
    log = KafkaLog(kafka.bootstrap, kafka.prefix)
    await log.start()
    try:
        await log.append(
            [
                entry("risk", "alpha", 1, report("4500")),
                entry("risk", "alpha", 2, report("5500")),
                entry("risk", "alpha", 3, HALTED),
                entry("trades", A, 4, LOST),
                entry("dead-letters", "trades", 5, LETTER),
            ]
        )
    finally:
        await log.stop()
