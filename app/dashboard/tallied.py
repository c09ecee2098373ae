"""What was counted and measured enters; Prometheus' counters and histograms leave."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from app.dashboard.live.tally import Delays, Tally

SAYS = {
    "decisions": "Decision times at which capital was allocated.",
    "orders": "Orders let through by risk.",
    "fills": "Fills.",
    "refusals": "Orders that risk refused or cut.",
    "halts": "Halts.",
    "gaps": "Gaps: trades that could not be had.",
    "candle_revisions": "Candles that late trades changed afterwards.",
    "dead_letters_seen": "Dead letters that came while this was looking.",
}


def tallied(tally: Tally) -> Iterator[Metric]:
    """Give what was counted since the start, and the delays by the broker's clock."""
    for name, labels in Tally.LABELS.items():
        counter = CounterMetricFamily(f"lockstep_{name}", SAYS[name], labels=labels)
        for values, count in tally.counts[name].items():
            counter.add_metric(values, count)
        yield counter
    yield _delays(
        "lockstep_hop_delay_seconds",
        "From a decision time's last input of a stage to its last output on a topic.",
        "topic",
        tally.hops,
    )
    yield _delays(
        "lockstep_decision_delay_seconds",
        "From what closed an account's last bar to its last orders.",
        "account",
        tally.decisions,
    )


def _delays(name: str, says: str, label: str, found: dict[str, Delays]) -> Metric:
    histogram = HistogramMetricFamily(name, says, labels=[label])
    for value, delays in found.items():
        histogram.add_metric([value], delays.classes(), delays.sum)
    return histogram
