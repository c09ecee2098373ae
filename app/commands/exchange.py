"""Dump files or seeds in, a local exchange that speaks Binance's protocol out, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.errors import INTERRUPTED, ConfigurationError, UnreachableError
from app.times import format_time, parse_time

if TYPE_CHECKING:
    from app.market.exchange import ExchangeSettings, LocalExchange, MarketSource

DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
_HABITS = {  # price, tick size, step size: round numbers like those of 2025
    "BTCUSDT": ("64000", "0.01", "0.00001"),
    "ETHUSDT": ("3000", "0.01", "0.0001"),
    "BNBUSDT": ("600", "0.01", "0.001"),
    "SOLUSDT": ("150", "0.01", "0.001"),
    "XRPUSDT": ("0.5", "0.0001", "0.1"),
    "ADAUSDT": ("0.4", "0.0001", "0.1"),
    "DOGEUSDT": ("0.12", "0.00001", "1"),
    "LTCUSDT": ("80", "0.01", "0.001"),
}
_OTHER_HABITS = ("100", "0.01", "0.001")


class _Moment(click.ParamType):
    """A time: ISO 8601, UTC unless it says otherwise, or milliseconds since the epoch."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        try:
            return parse_time(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option(
    "--dump",
    "dumps",
    multiple=True,
    metavar="SYMBOL=FILE",
    help="Play a file in the format of Binance's public dumps (.csv, .zip, .gz). Repeatable.",
)
@click.option(
    "--synthetic",
    "synthetics",
    multiple=True,
    metavar="SYMBOL[:PRICE]",
    help="Trade an endless made-up market of this symbol. Repeatable.",
)
@click.option("--seed", default=1, show_default=True, help="Chooses the made-up markets.")
@click.option(
    "--rate",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Orders per second of exchange time in a made-up market.",
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Exchange seconds per real second.",
)
@click.option(
    "--start",
    type=_Moment(),
    help="Exchange time to begin at; what a dump holds before is history.  "
    "[default: the first dump's first minute, else now]",
)
@click.option("--until", type=_Moment(), help="Exchange time at which the clock stops.")
@click.option("--exit", "leave", is_flag=True, help="End when the clock has stopped.")
@click.option("--wait", is_flag=True, help="Hold the clock until each market has a subscriber.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port to listen on.  [default: free]"
)
@click.option("--control", is_flag=True, help="Let POST /control/… make it misbehave.")
def exchange(
    *,
    dumps: tuple[str, ...],
    synthetics: tuple[str, ...],
    seed: int,
    rate: float,
    speed: float,
    start: int | None,
    until: int | None,
    leave: bool,
    wait: bool,
    host: str,
    port: int,
    control: bool,
) -> None:
    """Run a local exchange that speaks Binance's market-data protocol."""
    from app.market.exchange import ExchangeSettings  # noqa: PLC0415 only click loads with the list

    settings = ExchangeSettings(
        host=host,
        port=port,
        start=start,
        until=until,
        speed=speed,
        wait_for_subscribers=wait,
        control=control,
    )
    if leave and until is None:
        raise click.UsageError("--exit was given without --until; say when the clock stops")
    markets = _markets(dumps, synthetics or (() if dumps else DEFAULT_SYMBOLS), seed, rate)
    sys.exit(asyncio.run(_serve(settings, markets, leave=leave)))


def _markets(
    dumps: Sequence[str], synthetics: Sequence[str], seed: int, rate: float
) -> list[MarketSource]:
    return [
        *(_dump(text) for text in dumps),
        *(_synthetic(text, seed, rate) for text in synthetics),
    ]


def _dump(text: str) -> MarketSource:
    from app.market.exchange import DumpMarket  # noqa: PLC0415 see above
    from app.market.exchange.listing import split_symbol  # noqa: PLC0415 see above

    symbol, equals, file = text.partition("=")
    if not (symbol and equals and file):
        raise ConfigurationError(f"--dump was {text!r}; write SYMBOL=FILE")
    if not Path(file).is_file():
        raise ConfigurationError(f"there is no file {file!r}; give --dump an existing one")
    base, quote = split_symbol(symbol.upper())
    return DumpMarket(Path(file), symbol.upper(), base, quote)


def _synthetic(text: str, seed: int, rate: float) -> MarketSource:
    from app.market.exchange import SyntheticMarket  # noqa: PLC0415 see above
    from app.market.exchange.listing import split_symbol  # noqa: PLC0415 see above

    symbol, _, price = text.upper().partition(":")
    base, quote = split_symbol(symbol)
    usual, tick_size, step_size = _HABITS.get(symbol, _OTHER_HABITS)
    return SyntheticMarket(
        symbol,
        base,
        quote,
        seed=seed,
        rate=rate,
        price=_positive(price or usual),
        tick_size=Decimal(tick_size),
        step_size=Decimal(step_size),
    )


def _positive(text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal(0)
    if not (price.is_finite() and price > 0):
        raise ConfigurationError(f"the price was {text!r}; give a positive decimal number")
    return price


async def _serve(
    settings: ExchangeSettings, markets: Sequence[MarketSource], *, leave: bool
) -> int:
    """Serve until a signal, or until the clock has stopped; return the exit code."""
    from app.market.exchange import LocalExchange  # noqa: PLC0415 see above

    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number, code in ((signal.SIGINT, INTERRUPTED), (signal.SIGTERM, 0)):
        asyncio.get_running_loop().add_signal_handler(number, _stop, stopped, code)
    async with AsyncExitStack() as stack:
        local = LocalExchange(settings, markets)
        try:
            await stack.enter_async_context(local)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise UnreachableError(
                f"{settings.host}:{settings.port} could not be listened on ({reason}); "
                "choose another --port, or none for a free one"
            ) from error
        _announce(local.rest_url, local.ws_url, local.symbols, local.clock.now)
        return await _until_stopped(local, stopped, leave=leave)


async def _until_stopped(local: LocalExchange, stopped: asyncio.Future[int], *, leave: bool) -> int:
    finished = asyncio.ensure_future(local.finished())
    either: list[asyncio.Future[Any]] = [stopped, finished]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if finished.done():
        await finished
        click.echo(f"The clock stopped at {format_time(local.clock.now)}.")
        return 0 if leave else await stopped
    finished.cancel()
    return await stopped


def _stop(stopped: asyncio.Future[int], code: int) -> None:
    if not stopped.done():
        stopped.set_result(code)


def _announce(rest_url: str, ws_url: str, symbols: Sequence[str], now: int) -> None:
    click.echo(f"Local exchange: {', '.join(symbols)}, from {format_time(now)}")
    click.echo(f"  REST     {rest_url}")
    click.echo(f"  streams  {ws_url}")
    click.echo("Ctrl-C stops it. Next, in another terminal:")
    click.echo(
        f"  LOCKSTEP_MARKET__STREAM={ws_url} LOCKSTEP_MARKET__REST={rest_url} lockstep worker"
    )
