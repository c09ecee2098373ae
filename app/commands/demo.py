"""A few numbers in; a day of trading on the screen, and its summary from the database, out."""

from __future__ import annotations

import asyncio
import fcntl

import click

from app.errors import LockstepError

DAY_MINUTES = 1440
WIDTH = 160


@click.command()
@click.option(
    "--minutes",
    type=click.IntRange(2, DAY_MINUTES),
    default=DAY_MINUTES,
    show_default=True,
    help="How much of the day to play.",
)
@click.option(
    "--speed",
    type=click.FloatRange(1, 5000),
    default=720.0,
    show_default=True,
    help="Exchange seconds per second.",
)
def demo(*, minutes: int, speed: float) -> None:
    """Play a real trading day through the whole pipeline."""
    from rich.console import Console  # noqa: PLC0415 - help loads nothing

    from app.commands.stack import local_folder, stack_state, up  # noqa: PLC0415
    from app.demo.plan import make  # noqa: PLC0415
    from app.demo.session import play  # noqa: PLC0415

    folder = local_folder()
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "demo.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockstepError(
            "another demo runs on this stack: wait for its end, or stop it by Ctrl-C there."
        ) from None
    if len(stack_state().running) < 2:  # noqa: PLR2004 - Kafka and TimescaleDB
        click.get_current_context().invoke(up)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)  # nobody's screen: never cut a number
    asyncio.run(play(make(minutes, speed), console, folder / "logs"))
