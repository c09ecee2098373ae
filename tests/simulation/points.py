"""Nothing enters; every point at which a schedule can stop leaves, to show that all were hit."""

from __future__ import annotations

from tests.simulation.database import APPLIED, SENT

KILL, FREEZE = "kill", "freeze"

_APPENDS = (
    "assign: append claim",
    "assign: append states",  # states that a zombie's late write would have erased, again
    "take: append outputs",
    "take: append states",
    "checkpoint: append states",
    "checkpoint: append progress",
)
_STEPS = ("sent, not applied", "applied in part", "applied, not acknowledged")

POINTS = (
    "assign: partitions",
    "assign: read",
    "assign: bounds",
    *(f"{append}: {step}" for append in _APPENDS for step in _STEPS),
    "commit: offsets sent, not applied",
    "commit: offsets applied, not acknowledged",
    "assign: positions",
    "checkpoint: positions",
    *(f"{kind}: {what}" for kind in ("assign", "take") for what in ("begin", "lock", "move")),
    "take: lock: in part",
    "take: insert",
    *(f"{kind}: lock: waits" for kind in ("assign", "take")),
    *(f"{kind}: {what}" for kind in ("assign", "take") for what in (SENT, APPLIED)),
    *(f"{kind}: sleep" for kind in ("assign", "take")),
)
"""Every point of the runtime (above) and the sink (below): what is under way, and where."""

CELLS = tuple((point, fate) for point in POINTS for fate in (KILL, FREEZE))

NAMED = frozenset(POINTS)
