"""What a comparison found, as data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that is not what its inputs make of it.

    Attributes:
        topic: Its topic.
        name: Its identity.
        time: Its event time, milliseconds since the epoch UTC.
        place: Topic, partition and offset as recorded; empty where it is missing.
        field: The first field that differs, `order` where it stands behind a later one of its
            sender; empty where the whole record does.
        recorded: What was recorded there.
        replayed: What the replay made.
        chain: The records that led to it, from its origin back to what entered; of every
            difference but the first, only its origin.
    """

    topic: str
    name: str
    time: int
    place: str
    field: str
    recorded: str
    replayed: str
    chain: tuple[str, ...]


@dataclass(slots=True)
class Verdict:
    """What was compared.

    Attributes:
        counts: Records by topic.
        digests: A hash by topic, the same that a replay prints: the order makes no difference.
        repeats: Records that stood again.
        pending: Records at the end that the stages have not written yet.
        gone: Records that were made and that retention has taken.
        since: The time of the newest snapshot that a key was stepped from, milliseconds since the
            epoch UTC; none where every key was stepped from its beginning.
        through: Every stage was compared up to this event time, milliseconds since the epoch UTC;
            none where nothing was.
        truncated: Inputs that retention has taken the beginning of, with their first offset.
        unproven: Stages' keys that could not be stepped, or not to their end, each with why.
        different: How many records differ.
        differences: The earliest of them, earliest first.
    """

    counts: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    repeats: int = 0
    pending: int = 0
    gone: int = 0
    since: int | None = None
    through: int | None = None
    truncated: dict[str, int] = field(default_factory=dict)
    unproven: dict[str, str] = field(default_factory=dict)
    different: int = 0
    differences: list[Difference] = field(default_factory=list)
