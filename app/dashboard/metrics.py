"""How everything is enters; Prometheus' metrics leave, made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as Base

from app.dashboard.errors import AnswerError
from app.dashboard.history import accounts, runs
from app.dashboard.services import Services
from app.dashboard.tallied import tallied

MONEY = {
    "equity": "Equity of the newest decision, in the account's currency.",
    "day_profit": "Equity less that of the day's first decision.",
    "daily_loss": "Loss since the day's first decision.",
    "daily_loss_limit": "The loss that halts the account.",
    "gross_notional": "Sum of all positions at their marks.",
}
RATIOS = {
    "drawdown": "Fall from the highest equity, a share of it.",
    "drawdown_limit": "The fall that halts the account.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Collector(Base):
    """What is true at one moment.

    Attributes:
        shared: Knows what is live.
        books: Every account, from the tables; none while they are away.
        proof: What the last verification found.
    """

    shared: Services
    books: list[dict[str, Any]]
    proof: dict[str, Any] | None

    @classmethod
    async def gather(cls, shared: Services) -> Self:
        """Return a collector with what must be asked for."""
        shared.watch.look()
        try:
            async with shared.store.view() as view:
                return cls(shared, await accounts.overview(view), await runs.proof(view))
        except AnswerError:
            return cls(shared, [], None)

    def collect(self) -> Iterable[Metric]:
        """Give every metric."""
        yield from self._process()
        yield from self._flow()
        yield from self._stages()
        yield from self._feeds()
        yield from tallied(self.shared.live.tally)
        yield from self._accounts()
        yield from self._proof()
        yield from self._alerts()

    def _process(self) -> Iterator[Metric]:
        health = self.shared.watch.health()
        build = GaugeMetricFamily("lockstep_build_info", "This program.", labels=["version"])
        build.add_metric([self.shared.version], 1)
        yield build
        up = GaugeMetricFamily("lockstep_up", "1 while it answers.", labels=["part"])
        for part in ("broker", "database"):
            up.add_metric([part], float(bool(health[part]["well"])))
        yield up
        statistics = self.shared.live.bus.statistics()
        yield _gauge("lockstep_viewers", "Open streams.", self.shared.watch.viewers)
        yield _counter(
            "lockstep_viewers_dropped", "Viewers cut off for being slow.", statistics.disconnected
        )

    def _flow(self) -> Iterator[Metric]:
        follower, watch = self.shared.live.follower, self.shared.watch
        seen = CounterMetricFamily(
            "lockstep_records", "Records followed since the start, by type.", labels=["type"]
        )
        for kind, count in follower.counts.items():
            seen.add_metric([kind], count)
        yield seen
        yield _counter(
            "lockstep_undecodable_records", "Records that were none.", follower.undecodable
        )
        last = GaugeMetricFamily(
            "lockstep_last_record_timestamp_seconds",
            "When the newest record was appended.",
            labels=["topic"],
        )
        for topic, moment in follower.last_of_topic.items():
            last.add_metric([topic], moment / 1000)
        yield last
        event = GaugeMetricFamily(
            "lockstep_stage_last_record_timestamp_seconds",
            "When a stage's newest record was appended.",
            labels=["stage"],
        )
        for stage, moment in follower.last_of_stage.items():
            event.add_metric([stage], moment / 1000)
        yield event
        if watch.found is not None:
            yield _counter("lockstep_dead_letters", "Dead letters kept.", watch.found.dead_letters)
            yield self._ends()

    def _ends(self) -> Metric:
        ends = CounterMetricFamily(
            "lockstep_topic_records", "Records ever appended.", labels=["topic"]
        )
        found = self.shared.watch.found
        totals: dict[str, int] = {}
        for place, (_, end) in found.spans.items() if found else ():
            totals[place.topic] = totals.get(place.topic, 0) + end
        for topic, total in totals.items():
            ends.add_metric([topic], total)
        return ends

    def _stages(self) -> Iterator[Metric]:
        watch = self.shared.watch
        stages = watch.found.stages if watch.found else ()
        workers = GaugeMetricFamily("lockstep_workers", "Workers that run it.", labels=["stage"])
        lag = GaugeMetricFamily("lockstep_lag_records", "Records not done.", labels=["stage"])
        behind = GaugeMetricFamily(
            "lockstep_lag_seconds", "Event time behind the newest trade.", labels=["stage"]
        )
        waiting = GaugeMetricFamily("lockstep_waiting_keys", "Keys that wait.", labels=["stage"])
        for stage in stages:
            workers.add_metric([stage.stage], len(stage.workers))
            lag.add_metric([stage.stage], stage.lag)
            waiting.add_metric([stage.stage], len(stage.waiting))
            if (far := watch.behind(stage.stage)) is not None:
                behind.add_metric([stage.stage], far / 1000)
        yield from (workers, lag, behind, waiting)
        yield self._committed()

    def _committed(self) -> Metric:
        committed = GaugeMetricFamily(
            "lockstep_committed_offset",
            "What a group has committed.",
            labels=["stage", "topic", "partition"],
        )
        found = self.shared.watch.found
        for stage, places in found.committed.items() if found else ():
            for place, offset in places.items():
                committed.add_metric([stage, place.topic, str(place.partition)], offset)
        return committed

    def _feeds(self) -> Iterator[Metric]:
        found = self.shared.watch.found
        gaps = found.gaps if found else {}
        trades = CounterMetricFamily(
            "lockstep_trades", "Trades followed since the start.", labels=["instrument"]
        )
        last = GaugeMetricFamily(
            "lockstep_feed_last_trade_timestamp_seconds",
            "When its newest trades were appended.",
            labels=["instrument"],
        )
        delay = GaugeMetricFamily(
            "lockstep_feed_delay_seconds",
            "From its newest trade's own time to its append; large where old trades are played.",
            labels=["instrument"],
        )
        missing = GaugeMetricFamily(
            "lockstep_gaps_open", "Gaps still looked for.", labels=["instrument"]
        )
        for name, price in self.shared.live.prices.of.items():
            trades.add_metric([name], price.count)
            missing.add_metric([name], len(gaps.get(name, ())))
            if price.at:
                last.add_metric([name], price.at / 1000)
                delay.add_metric([name], (price.at - price.time) / 1000)
        yield from (trades, last, delay, missing)

    def _accounts(self) -> Iterator[Metric]:
        for name, says in MONEY.items():
            yield self._of_accounts(f"lockstep_{name}", says, name)
        for name, says in RATIOS.items():
            yield self._of_accounts(f"lockstep_{name}_ratio", says, name)
        halted = GaugeMetricFamily(
            "lockstep_halted", "1 while nothing is opened.", labels=["account"]
        )
        for book in self.books:
            halted.add_metric([book["account"]], float(bool(book["halted"])))
        yield halted

    def _of_accounts(self, metric: str, says: str, name: str) -> Metric:
        found = GaugeMetricFamily(metric, says, labels=["account"])
        for book in self.books:
            if book[name] is not None:
                # A picture, not the truth: that is a decimal, and in the tables.
                found.add_metric([book["account"]], float(Decimal(book[name])))
        return found

    def _proof(self) -> Iterator[Metric]:
        if self.proof is not None:
            yield _gauge(
                "lockstep_verify_differences",
                "Records that the last verification found different.",
                self.proof["differences"],
            )
            yield _gauge(
                "lockstep_verify_timestamp_seconds",
                "When the last verification ended.",
                self.proof["checked_at"] / 1000,
            )

    def _alerts(self) -> Iterator[Metric]:
        alerts = CounterMetricFamily(
            "lockstep_alerts", "Alerts, by what became of them.", labels=["outcome"]
        )
        for outcome, count in self.shared.alarm.counts.items():
            alerts.add_metric([outcome], count)
        yield alerts


def _gauge(name: str, says: str, value: float) -> Metric:
    found = GaugeMetricFamily(name, says)
    found.add_metric([], value)
    return found


def _counter(name: str, says: str, value: float) -> Metric:
    found = CounterMetricFamily(name, says)
    found.add_metric([], value)
    return found
