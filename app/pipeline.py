"""The flow, as data: every stage in order, what it reads and writes, and its step.

A user's own strategies are loaded as this is imported (`app.authoring`), so whoever knows the flow
knows them.
"""

from __future__ import annotations

from app.authoring.loading import load_all
from app.core.allocation import AllocationMachine, AllocationState
from app.core.candles import CandleMachine, CandleState
from app.core.execution import ExecutionMachine, ExecutionState
from app.core.flow import ACCOUNT, INSTRUMENT, Machine, Stage
from app.core.portfolio import PortfolioMachine, PortfolioState
from app.core.risk import RiskMachine, RiskState
from app.core.strategies import STRATEGIES
from app.core.strategies.machine import StrategyMachine, StrategyState

__all__ = ["EDGES", "STAGES", "Stage"]


def _strategy(name: str) -> Stage:
    def machine(key: str, state: StrategyState | None) -> Machine:
        return StrategyMachine(name, key, state)

    return Stage(name, ("candles",), ("signals",), INSTRUMENT, machine, StrategyState)


EDGES = ("market", "sink")
"""The agents at the edges: market data writes `trades`, the sink reads every topic."""

_CANDLES = Stage("candles", ("trades",), ("candles",), INSTRUMENT, CandleMachine, CandleState)
_DECIDING: tuple[Stage, ...] = (
    Stage(
        "portfolio",
        ("signals", "fills"),
        ("portfolio",),
        ACCOUNT,
        PortfolioMachine,
        PortfolioState,
        patient="signals",
    ),
    Stage(
        "allocation",
        ("portfolio",),
        ("allocations",),
        ACCOUNT,
        AllocationMachine,
        AllocationState,
    ),
    Stage("risk", ("allocations",), ("orders", "risk"), ACCOUNT, RiskMachine, RiskState),
    Stage(
        "execution",
        ("trades", "orders"),
        ("fills",),
        INSTRUMENT,
        ExecutionMachine,
        ExecutionState,
        patient="trades",
    ),
)

load_all(taken=(_CANDLES.name, *(stage.name for stage in _DECIDING), *EDGES))

STAGES: tuple[Stage, ...] = (_CANDLES, *(_strategy(name) for name in STRATEGIES), *_DECIDING)
