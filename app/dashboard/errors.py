"""What can't be answered enters as a sentence; the status of a response leaves with it."""

from __future__ import annotations

BAD_NAME = 400
SIGNED_OUT = 401
REFUSED = 403
MISSING = 404
USED = 409
OUT_OF_RANGE = 422
TOO_MANY = 429
AWAY = 503


class AnswerError(Exception):
    """One sentence for whoever asked, and the status it goes with.

    Attributes:
        status: Of the response.
        sentence: What was wrong, why, and what to do next.
        part: What is away: database or broker; None where nothing is.
        wait: Seconds after which asking again may help; 0 where that is not known.
    """

    def __init__(self, status: int, sentence: str, part: str | None = None, wait: int = 0) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.part, self.wait = status, sentence, part, wait
