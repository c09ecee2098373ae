"""An account's rolling Sharpe ratio and exposure enter; their charts and tables leave."""

from __future__ import annotations

import numpy as np

from app.core.metrics import AccountSummary
from app.report.charts.columns import pick
from app.report.charts.frame import HALF
from app.report.charts.lines import Curve, Words, line_chart
from app.report.markup import Markup
from app.report.numbers import NONE, duration, moment, ratio, share
from app.report.sections.equity import ROWS
from app.report.sections.table import folded, note, section, table


def rolling_sharpe(account: AccountSummary, name: str) -> Markup:
    """Return the Sharpe ratio over the last returns; a sentence where there are too few."""
    how = account.sampling
    title = f"Sharpe ratio over the last {how.window} returns"
    points = [(time, value) for time, value in account.rolling if value is not None]
    if not points:
        words = (
            f"{NONE} It needs {how.window} whole periods of {duration(how.period)} with returns "
            f"that differ, and the equity above zero; the run has {account.samples}."
        )
        return section(f"{name}-sharpe", title, note(words))
    times = np.array([time for time, _ in points], dtype=np.int64)
    values = np.array([value for _, value in points], dtype=np.float64)
    words_ = Words(
        f"{name}-sharpe-chart",
        title,
        f"Between {ratio(float(values.min()))} and {ratio(float(values.max()))}, at the end "
        f"{ratio(float(values[-1]))}.",
    )
    rows = [[moment(points[at][0]), ratio(points[at][1])] for at in pick(len(points), ROWS)]
    return section(
        f"{name}-sharpe",
        title,
        line_chart(words_, HALF, [Curve("Sharpe ratio", times, values)], origin=True),
        folded("The numbers, evenly picked", table(["Time, UTC", "Sharpe ratio"], rows)),
    )


def exposure(account: AccountSummary, name: str) -> Markup:
    """Return how much of the equity was invested over time."""
    paths = account.paths
    sound = np.where(paths.equity > 0, paths.equity, 1.0)
    shares = np.where(paths.equity > 0, paths.gross / sound, 0.0) * 100
    words = Words(
        f"{name}-exposure-chart",
        "Exposure: positions as a share of equity",
        f"On average {shares.mean():.1f} %, at most {shares.max():.1f} %.",
        "\u00a0%",
    )
    rows = [
        [moment(int(paths.time[at])), share(float(shares[at]) / 100)]
        for at in pick(len(shares), ROWS)
    ]
    return section(
        f"{name}-exposure",
        "Exposure",
        line_chart(words, HALF, [Curve("exposure", paths.time, shares, 0, area=True)], origin=True),
        folded("The numbers, evenly picked", table(["Time, UTC", "Exposure"], rows)),
    )
