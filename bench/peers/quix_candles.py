"""One tick a record enters Quix Streams' tumbling windows; candles leave, and the ticks a second.

As its documentation builds candles: a tumbling window of a minute by the ticks' own time, with the
first, highest, lowest and last price and the sum of the quantities; each is sent when it closes.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from datetime import timedelta

from quixstreams import Application  # type: ignore[import-not-found]
from quixstreams.dataframe.windows import (  # type: ignore[import-not-found]
    First,
    Last,
    Max,
    Min,
    Sum,
)

COUNT = int(os.environ["PEER_COUNT"])


class Clock:
    """Counts what was processed, and ends the program behind the last tick."""

    def __init__(self) -> None:
        self._seen = 0
        self._begun = 0.0

    def __call__(self, _topic: str, _partition: int, _offset: int) -> None:
        """Count one tick."""
        self._begun = self._begun or time.perf_counter()
        self._seen += 1
        if self._seen == COUNT:
            seconds = time.perf_counter() - self._begun
            sys.stdout.write(json.dumps({"trades": COUNT, "seconds": seconds}) + "\n")
            sys.stdout.flush()
            os._exit(0)


def main() -> None:
    """Fold so many ticks."""
    app = Application(
        broker_address=os.environ["PEER_BOOTSTRAP"],
        consumer_group=os.environ["PEER_GROUP"],
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(prefix="bench-quix-"),
        on_message_processed=Clock(),
        loglevel="ERROR",
    )
    ticks = app.topic(
        os.environ["PEER_TICKS"],
        value_deserializer="json",
        timestamp_extractor=lambda value, *_: value["time"],
    )
    candles = app.topic(os.environ["PEER_CANDLES"], value_serializer="json")
    frame = app.dataframe(ticks)
    frame = (
        frame.tumbling_window(timedelta(minutes=1))
        .agg(
            open=First("price"),
            high=Max("price"),
            low=Min("price"),
            close=Last("price"),
            volume=Sum("quantity"),
        )
        .final()
    )
    frame.to_topic(candles)
    app.run()


if __name__ == "__main__":
    main()
