"""Counts and a seed enter, a table leaves: no malformed message of any type may pass.

`python -m tests.fuzz --count 100000` tries so many for every type of record.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from app.core.events import RECORDS
from tests.fuzz.campaign import Campaign, Score

MOST_SHOWN = 10


def main() -> int:
    """Return 0 when every malformed message was refused, and every record taken."""
    asked = _arguments()
    scores = [_run(tag, asked.count, asked.seed) for tag in asked.type or RECORDS]
    Console().print(_table(scores))
    for score in scores:
        for sentence in score.wrong[:MOST_SHOWN]:
            print(f"{score.type}: {sentence}", file=sys.stderr)  # noqa: T201 - it is a command
    return int(any(score.wrong for score in scores))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="malformed messages per type")
    parser.add_argument("--seed", type=int, default=1, help="every case follows from it")
    parser.add_argument("--type", action="append", choices=list(RECORDS), help="this type only")
    return parser.parse_args()


def _run(tag: str, count: int, seed: int) -> Score:
    def tell(score: Score) -> None:
        line = f"{tag}: {score.malformed:,} of {count:,}, {len(score.wrong)} wrong"
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - it is a command

    score = Campaign(seed, tag).run(count, tell)
    tell(score)
    return score


def _table(scores: list[Score]) -> Table:
    table = Table("type")
    for name in ("malformed", "dead letter", "stop", "refused", "harmless", "wrong", "a second"):
        table.add_column(name, justify="right")
    for score in [*scores, _total(scores)]:
        tried = score.malformed + score.harmless
        table.add_row(
            score.type,
            f"{score.malformed:,}",
            f"{score.letters:,}",
            f"{score.stops:,}",
            f"{score.malformed - len(score.wrong):,}",
            f"{score.harmless:,}",
            f"{len(score.wrong):,}",
            f"{tried / (score.seconds or 1):,.0f}",
        )
    return table


def _total(scores: list[Score]) -> Score:
    return Score(
        "all",
        sum(score.malformed for score in scores),
        sum(score.letters for score in scores),
        sum(score.stops for score in scores),
        sum(score.harmless for score in scores),
        [sentence for score in scores for sentence in score.wrong],
        sum(score.seconds for score in scores),
    )


if __name__ == "__main__":
    sys.exit(main())
