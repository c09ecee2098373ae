"""Values of options that are times enter; milliseconds leave, or what is wrong with the option."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from app.times import parse_time


def time_of(text: str | None, option: str) -> int | None:
    """Return the milliseconds since the epoch UTC that an option gives; none where it is absent.

    Raises:
        click.BadParameter: It is no time.
    """
    with refusing(option):
        return None if text is None else parse_time(text)


@contextmanager
def refusing(option: str) -> Iterator[None]:
    """Turn the refusal of a value into one of its option; raises click.BadParameter."""
    try:
        yield
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{error}.", param_hint=option) from error
