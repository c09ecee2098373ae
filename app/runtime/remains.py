"""What retention left of an instrument's trades enters; the gap that stands for the rest leaves.

Pure: it asks the readers' own tape, so that a gap says what every reader, and every replay of the
same log, makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.core.events import Clock, Epoch, Gap, Join, Leave, Record, Trades
from app.core.tape import StreamError, Tape, TapeState
from app.errors import LockstepError
from app.market.state import AccountJoin, FeedState, JoinStep

REASON = "retention"


class UnrecordableError(LockstepError):
    """No gap can stand for what was lost."""

    def __init__(self, stage: str, key: str, why: str) -> None:
        super().__init__(
            f"what {stage} has lost of {key} is more than a gap can stand for: {why}. Start a new "
            f"run (kafka.prefix)."
        )


@dataclass(slots=True)
class Reader:
    """One stage's place in one instrument's trades, after all that is left of them.

    Attributes:
        stage: The stage.
        key: The instrument.
        before: Where its durable state stands.
        floor: The first offset that state still needs.
    """

    stage: str
    key: str
    before: TapeState
    floor: int
    _tape: Tape = field(init=False)
    _epochs: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._tape = Tape(self.before)

    @property
    def tape(self) -> TapeState:
        """Where it would stand."""
        return self._tape.state

    def take(self, offset: int, record: Record) -> None:
        """Take a record that is left; raises UnrecordableError where it does not follow."""
        if offset < self.floor:
            return
        try:
            self._take(record)
        except StreamError as error:
            raise self.refusal(str(error).rstrip(".")) from error

    def refusal(self, why: str) -> UnrecordableError:
        """Return the sentence for what no gap can stand for."""
        return UnrecordableError(self.stage, self.key, why)

    def lacks(self, last_id: int | None) -> bool:
        """Return whether trades up to `last_id` were published that it will never see."""
        due = self.tape.next_id
        return due is not None and last_id is not None and due <= last_id

    def check(self, feed: FeedState) -> None:
        """Raise UnrecordableError where it may lack what the feed has told of the accounts."""
        for entry in feed.joins:
            if not self._knows(entry):
                raise self.refusal(
                    f"the epoch, history, join or leave of account {entry.account} may be among "
                    f"it, and nothing else tells them"
                )

    def _take(self, record: Record) -> None:
        if isinstance(record, Trades | Clock | Gap):
            for _ in self._tape.take(record):
                pass  # what is new is not wanted, only where it leads
        elif isinstance(record, Epoch):
            self._tape.adopt(record)
            self._epochs.add((record.account.name, record.number))
        elif isinstance(record, Join):
            self._tape.join(record)
        elif isinstance(record, Leave):
            self._tape.leave(record)

    def _knows(self, entry: AccountJoin) -> bool:
        """Return whether it has all that was told of an account's part, from the first word on.

        An account that it knew of under another number may have left and come again in between.
        """
        knew, knows = (tape.members.get(entry.account) for tape in (self.before, self.tape))
        if knew is not None and knew.joined:
            joined = knew.joined == entry.number
        else:
            told = knows is not None and knows.joined == entry.number
            whole = (entry.account, entry.number) in self._epochs
            joined = (told and whole) or entry.step is JoinStep.DECIDED
        left = knows is not None and knows.left >= entry.number
        return joined and (entry.step is not JoinStep.LEFT or left)


def gaps(feed: FeedState | None, readers: list[Reader]) -> list[Gap]:
    """Return the gap records after which every reader of an instrument goes on with the feed.

    Args:
        feed: What the feed remembers of the instrument; none where it has never fed it.
        readers: The stages that have lost input, at least one, after all that is left.

    Raises:
        UnrecordableError: No gap can stand for what was lost.
    """
    if feed is None:
        raise readers[0].refusal("market data has no state of it that says where it ends")
    for reader in readers:
        reader.check(feed)
    return [*_known(feed, readers), *_open(feed, readers)]


def _known(feed: FeedState, readers: list[Reader]) -> list[Gap]:
    """Return the gap up to the last trade that was published."""
    lacking = [reader.tape for reader in readers if reader.lacks(feed.last_id)]
    first_id = min((tape.next_id for tape in lacking if tape.next_id is not None), default=None)
    if first_id is None:
        return []
    from_time = min(tape.closed for tape in lacking)
    # A clock has closed what came before it, and nothing is lost of what begins with it.
    ends = [gap.to_time for gap in feed.gaps if gap.last_id is not None]
    to_time = max(from_time, feed.last_time, feed.last_clock - 1, *ends)
    return [Gap(feed.instrument, first_id, feed.last_id, from_time, to_time, REASON)]


def _open(feed: FeedState, readers: list[Reader]) -> list[Gap]:
    """Return again the gap whose end is not known yet, if a reader may not have met it."""
    if all(reader.tape.outage is not None for reader in readers):
        return []
    return [
        Gap(feed.instrument, gap.first_id, None, gap.from_time, gap.to_time, gap.reason)
        for gap in feed.gaps
        if gap.last_id is None
    ]
