"""A seed and a count enter; how many malformed messages were tried and refused leaves, by type."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app.runtime.codec import DecodeError, EncodeError, decode, encode
from tests.fuzz import judge
from tests.fuzz.mutations import Case, Mutator
from tests.fuzz.samples import all_samples
from tests.fuzz.stations import Loader, Station, WrongError, check_admission, stations

EDGES = {"instruments": ("market",)}
SHOWN = 20
PROGRESS = 5.0  # seconds


@dataclass(slots=True)
class Score:
    """What became of one type's messages.

    Attributes:
        type: The type of record that was mutated.
        malformed: How many cases the judge called malformed.
        letters: How many of them stood where they become a dead letter,
        stops: and where they stop whoever reads them.
        harmless: Cases that still were a record, and were taken as what they say.
        wrong: Each case that was treated otherwise than the judge says.
        seconds: How long it took.
    """

    type: str
    malformed: int = 0
    letters: int = 0
    stops: int = 0
    harmless: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Campaign:
    """Tries cases of one type until enough were malformed."""

    def __init__(self, seed: int, tag: str) -> None:
        self.score = Score(tag)
        self._mutator = Mutator(seed, all_samples(), tag)
        self._stations: dict[str, list[Station] | list[Loader]] = {}

    def run(self, count: int, tell: Callable[[Score], None] = lambda _: None) -> Score:
        """Try until `count` malformed cases are done; `tell` is called every few seconds."""
        began = told = time.monotonic()
        while self.score.malformed < count:
            self.attempt(self._mutator.case())
            at = time.monotonic()
            self.score.seconds = at - began
            if at - told > PROGRESS:
                tell(self.score)
                told = at
        return self.score

    def attempt(self, case: Case) -> None:
        """Try one case, and score it."""
        try:
            self._attempt(case)
        except (WrongError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            self.score.wrong.append(f"{error!r}: {case.topic} {case.key!r} {case.value[:1500]!r}")
            self._stations = {}

    def _attempt(self, case: Case) -> None:
        _check_decoder(case.value)
        if judge.may_stand(case.topic, case.key, case.value):
            self.score.harmless += 1
            return
        self.score.malformed += 1
        if judge.stops(case.topic, case.value):
            self.score.stops += 1
        else:
            self.score.letters += 1
        for reader in ("sink", *EDGES.get(case.topic, ())):
            check_admission(case, reader)
        if case.topic not in self._stations:
            self._stations[case.topic] = stations(case.topic)
        for station in self._stations[case.topic]:
            station.refuse(case)


def _check_decoder(raw: bytes) -> None:
    """Check that the decoder takes what is a record, as what it says, and nothing else."""
    valid = judge.reads(raw) is not None
    try:
        message = decode(raw)
    except DecodeError as error:
        if valid:
            raise WrongError(f"a record was refused: {error}") from error
        if len(str(error)) > SHOWN * 50:
            raise WrongError("the sentence was long") from error
        return
    if not valid:
        raise WrongError("malformed bytes passed as a record")
    try:
        again = encode(message)
    except EncodeError as error:
        raise WrongError(f"a record could not be written again: {error}") from error
    if judge.says(again) != judge.says(raw) or encode(decode(again)) != again:
        raise WrongError("a record changed its meaning")
