"""A source with an account for every combination enters; how each did in each window leaves.

One reading of the trades serves all combinations of a call: they are accounts beside each other in
one pipeline, which share candles and nothing else.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

from app import running
from app.backtest.source import Files
from app.backtest.windows import WindowScore, scores, windows
from app.core.events import Account, Output, Portfolio
from app.core.metrics.arrays import frozen_floats, frozen_times
from app.errors import LockstepError
from app.pipeline import STAGES
from app.replay.play import play


def run(source: Files, accounts: Sequence[Account], count: int) -> list[list[WindowScore]]:
    """Return the scores of each account in so many windows, in the order of the accounts.

    Raises:
        LockstepError: The source can't be read, or is too short.
    """
    named = tuple(
        replace(account, name=f"{account.name}-{number}") for number, account in enumerate(accounts)
    )
    curves = running.run(_curves(replace(source, accounts=named)))
    found = []
    for account in named:
        if account.name not in curves:
            raise LockstepError("nothing was decided: give a longer range or more data.")
        times, equity = curves[account.name]
        every = windows(times[0], times[-1], count, source.interval)
        found.append(scores(frozen_times(times), frozen_floats(equity), every, source.interval))
    return found


async def _curves(source: Files) -> dict[str, tuple[array[int], array[float]]]:
    curves: dict[str, tuple[array[int], array[float]]] = {}

    def collect(output: Output) -> None:
        record = output.message.record
        if isinstance(record, Portfolio):
            times, equity = curves.setdefault(record.account, (array("q"), array("d")))
            times.append(record.time)
            equity.append(float(record.equity))

    await play(STAGES, source.chunks(), collect)
    return curves
