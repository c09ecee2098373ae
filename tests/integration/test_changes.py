"""Instruments and accounts that come, go and change while a worker trades: the ring goes on."""

from __future__ import annotations

import copy
import itertools
import signal
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from app.core.events import Epoch, Join, Leave, Portfolio, View
from app.market.exchange import ExchangeSettings, LocalExchange, SyntheticMarket
from tests.integration.proof import equals_its_replay, fills_the_tables
from tests.integration.worker import (
    CONFIGURATION,
    HOUR,
    MINUTE,
    START,
    XRPETH,
    A,
    B,
    Installation,
    Worker,
    eventually,
    paced,
    synthetic,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

C = "BINANCE:CCCUSDT"
NOSUCH = "BINANCE:NOSUCHUSDT"
# Never traded until the 26th minute after the start.
SILENT = SyntheticMarket("CCCUSDT", "CCC", "USDT", seed=83, rate=2e-5)
SPEED = 60.0


class Site:
    """An installation, an exchange, and one worker at a time that takes each configuration."""

    def __init__(self, installation: Installation, play: LocalExchange) -> None:
        self.installation = installation
        self.play = play
        self.configuration: dict[str, Any] = yaml.safe_load(CONFIGURATION)
        self.configuration["market"] = {"patience": "8s", "stale_after": "6s", "history_count": 30}
        self.worker: Worker | None = None

    async def take(self, **accounts: Mapping[str, Any]) -> None:
        """Edit the accounts in `app.yaml` and restart the worker, as an operator does."""
        if self.worker is not None:
            self.worker.process.send_signal(signal.SIGTERM)
            assert await self.worker.ends() == 0
        self.configuration["accounts"] |= accounts
        self.installation.configure(yaml.safe_dump(self.configuration))
        self.worker = await self.installation.start()

    def account(self, name: str, **changes: Any) -> dict[str, Any]:
        """Return an account as it is configured, with changes."""
        return copy.deepcopy(self.configuration["accounts"][name]) | changes

    async def goes_on(self, **epochs: int) -> dict[str, list[Portfolio]]:
        """Wait until accounts have decided three times more under their configurations."""
        before = self.play.clock.now

        def holds(found: list[Portfolio]) -> bool:
            return all(len(of(found, name, number, before)) >= 3 for name, number in epochs.items())

        found = await self.installation.until("portfolio", Portfolio, holds)
        return {name: of(found, name, number, before) for name, number in epochs.items()}


def of(found: list[Portfolio], account: str, epoch: int, since: int) -> list[Portfolio]:
    return [
        each
        for each in found
        if (each.account, each.epoch) == (account, epoch) and each.time > since
    ]


def marked(portfolio: Portfolio) -> list[str]:
    return [mark.instrument for mark in portfolio.marks]


async def test_the_ring_goes_on_through_every_change(installation: Installation) -> None:
    settings = ExchangeSettings(start=START, speed=SPEED, history_ms=HOUR)
    markets = [synthetic("AAAUSDT", 1), synthetic("BBBUSDT", 2), SILENT, XRPETH]
    async with LocalExchange(settings, markets) as play, paced(installation, play):
        installation.serve(play)
        site = Site(installation, play)
        await site.take()
        await site.goes_on(paper=1, real=1)
        await what_was_never_traded_joins(site)
        await what_is_delisted_leaves(site)
        await configuration_changes_beside_what_is_delisted(site)
        await a_wrong_name_stops_nobody(site)
    # The exchange is gone: what it gave is decided to its end, and equal.
    replayed = await equals_its_replay(installation, least=10)
    await fills_the_tables(installation, replayed)
    times_have_no_hole(replayed["portfolio"])


async def what_was_never_traded_joins(site: Site) -> None:
    """An account takes in what has never been traded, another begins, a third has other limits."""
    paper = site.account("paper", instruments=[A, B, C])
    shadow = site.account("paper", instruments=[A], capital=5_000)
    real = site.account("real")
    real["risk"]["order_notional"] = 150
    await site.take(paper=paper, shadow=shadow, real=real)

    def awaited(waiting: dict[str, Mapping[str, str]]) -> bool:
        market, portfolio = waiting["market"].get(C, ""), waiting["portfolio"].get("paper", "")
        return (
            "has never been traded: its first trade is awaited" in market
            and portfolio == f"join or leave of macd/{C} and 1 more"
        )

    await eventually(site.installation.waiting, awaited, site.installation.said)
    decided = await site.goes_on(paper=2, real=2, shadow=1)
    assert all(marked(each) == [A, B, C] for each in decided["paper"])
    first = decided["paper"][0]
    views = {each.view for each in first.opinions if each.instrument == C}
    assert views == {View.NOT_READY}
    assert first.marks[2].price is None
    (join,) = [
        each
        for each in await site.installation.records("trades", Join)
        if each.instrument == C and each.account == "paper"
    ]
    assert join.next_id == 0
    # Its first trade comes: it has a price from then on.
    await site.installation.until(
        "portfolio",
        Portfolio,
        lambda found: any(
            mark.price for each in found for mark in each.marks if mark.instrument == C
        ),
    )


async def what_is_delisted_leaves(site: Site) -> None:
    """A symbol that the exchange trades no more leaves within seconds, not minutes."""
    site.play.faults.set_status("BBBUSDT")
    leaves = await site.installation.until("trades", Leave, bool)
    assert [(each.instrument, each.account, each.epoch) for each in leaves] == [(B, "paper", 2)]
    assert leaves[0].reason == "delisted: its status was BREAK"
    await site.play.reached(leaves[0].time)
    decided = await site.goes_on(paper=2, real=2, shadow=1)
    assert all(marked(each) == [A, C] for each in decided["paper"])


async def configuration_changes_beside_what_is_delisted(site: Site) -> None:
    """Other limits, and one instrument less, while another is listed that can't be traded."""
    paper = site.account("paper", instruments=[A, B])
    paper["risk"]["order_notional"] = 20_000
    await site.take(paper=paper)
    decided = await site.goes_on(paper=3, real=2, shadow=1)
    assert all(marked(each) == [A] for each in decided["paper"])
    leaves = await site.installation.records("trades", Leave)
    assert {(each.instrument, each.epoch) for each in leaves} == {(B, 2), (B, 3), (C, 2)}


async def a_wrong_name_stops_nobody(site: Site) -> None:
    """What the exchange does not know is said, and the account goes on; so it does corrected."""
    await site.take(paper=site.account("paper", instruments=[A, NOSUCH]))
    decided = await site.goes_on(paper=4, real=2, shadow=1)
    assert all(marked(each) == [A] for each in decided["paper"])
    waiting = await site.installation.waiting()
    assert "check its spelling in the instruments" in waiting["market"][NOSUCH]
    await site.take(paper=site.account("paper", instruments=[A]))
    await site.goes_on(paper=5, real=2, shadow=1)
    epochs = await site.installation.records("portfolio", Epoch)
    numbers = {each.number for each in epochs if each.account.name == "paper"}
    assert numbers == {1, 2, 3, 4, 5}


def times_have_no_hole(messages: list[Any]) -> None:
    """Every account has decided at every decision time from its first on."""
    times: dict[str, list[int]] = {}
    for message in messages:
        if isinstance(message.record, Portfolio):
            times.setdefault(message.record.account, []).append(message.record.time)
    for found in times.values():
        assert all(after - before == MINUTE for before, after in itertools.pairwise(found))
