"""A dump as records: what a live feed of the same trades publishes."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import Account, Clock, Gap, Join, Listing, Record, Series, Trades
from app.errors import ConfigurationError, LockstepError
from app.market.binance.rest import Rest
from app.market.dumps import Aggregate, DumpError, read_dump
from app.market.exchange import DumpMarket, ExchangeSettings, LocalExchange
from app.market.extent import rows
from app.market.importing import Dump, Manner, Tape, beginning, check, market, symbol, trades
from app.market.listings import wanted
from app.market.preparation import join_records, prepare
from app.market.state import AccountJoin, JoinStep
from tests.replay.test_ring import DAY, XRP, real_account

START = 1_570_752_000_000
MINUTE = 60_000
ONE = Decimal(1)


def row(identity: int, time: int, *, void: bool = False) -> Aggregate:
    if void:
        return Aggregate(identity, -1, -1, START + time, Decimal(0), Decimal(0), True)
    return Aggregate(identity, identity, identity, START + time, ONE, ONE, True)


def tape(manner: Manner = Manner()) -> Tape:  # noqa: B008 - frozen
    return Tape(XRP, MINUTE, manner, START, 1)


def followed(given_rows: Iterable[Aggregate], manner: Manner = Manner()) -> list[Record]:  # noqa: B008
    return [timed.record for timed in tape(manner).follow(given_rows)]


def clocks(records: Iterable[Record]) -> list[tuple[int, int]]:
    return [(r.time - START, r.last_id) for r in records if isinstance(r, Clock)]


def ids(records: Iterable[Record]) -> list[tuple[int, ...]]:
    return [record.id for record in records if isinstance(record, Trades)]


def listing(account: Account | None = None) -> Listing:
    (only,) = wanted((account or real_account(),), MINUTE, {})
    return only


def write(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_silence_is_told_by_a_clock_for_every_interval() -> None:
    records = followed([row(1, 5_000), row(2, 3 * MINUTE + 1_000)])
    assert clocks(records) == [(MINUTE, 1), (2 * MINUTE, 1), (3 * MINUTE, 1), (4 * MINUTE, 2)]
    assert [type(record) for record in records[:2]] == [Trades, Clock]


def test_a_trade_soon_after_the_end_is_its_clock() -> None:
    records = followed([row(1, 5_000), row(2, MINUTE + 999), row(3, MINUTE + 1_500)])
    assert clocks(records) == [(2 * MINUTE, 3)]
    assert ids(records) == [(1,), (2, 3)]


def test_a_jump_in_ids_is_a_gap_and_no_silence() -> None:
    records = followed([row(1, 5_000), row(4, 3 * MINUTE)])
    assert records[1] == Gap(
        XRP, 2, 3, START + 5_000, START + 3 * MINUTE, "the dump does not hold them"
    )
    assert clocks(records) == [(4 * MINUTE, 4)]


def test_a_void_trade_is_a_gap_of_its_own() -> None:
    records = followed([row(1, 5_000), row(2, 6_000, void=True), row(3, 7_000)])
    assert ids(records) == [(1,), (3,)]
    assert isinstance(records[1], Gap)
    assert (records[1].first_id, records[1].last_id, records[1].to_time) == (2, 2, START + 6_000)


def test_what_lies_behind_the_end_is_left_out_and_all_up_to_it_closed() -> None:
    manner = Manner(until=START + 3 * MINUTE)
    records = followed([row(1, 5_000), row(2, 3 * MINUTE)], manner)
    assert ids(records) == [(1,)]
    assert clocks(records) == [(MINUTE, 1), (2 * MINUTE, 1), (3 * MINUTE, 1)]


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 90_000)), min_size=1, max_size=60),
    most=st.integers(1, 7),
)
def test_every_id_is_told_once_and_times_never_fall(
    steps: list[tuple[int, int]], most: int
) -> None:
    given_rows, identity, time = [], 0, 0
    for jump, pause in steps:
        identity, time = identity + jump, time + pause
        given_rows.append(row(identity, time))
    timed = list(tape(Manner(flush_count=most)).follow(given_rows))

    told: list[int] = []
    for record in (each.record for each in timed):
        if isinstance(record, Trades):
            assert len(record.id) <= most
            assert record.time[0] // MINUTE == record.time[-1] // MINUTE
            told += record.id
        elif isinstance(record, Gap):
            assert record.last_id is not None
            told += range(record.first_id, record.last_id + 1)
    assert told == list(range(1, identity + 1))
    assert [each.time for each in timed] == sorted(each.time for each in timed)
    last = timed[-1].record
    assert isinstance(last, Clock)
    assert last.time == START + time // MINUTE * MINUTE + MINUTE


async def test_joins_are_those_of_a_live_feed_that_begins_there() -> None:
    """Rules, history and first id, as the exchange's REST tells them."""
    base = START + 60 * MINUTE
    dump = Dump(XRP, (DAY,))
    exchange = LocalExchange(
        ExchangeSettings(start=base + 5_000), [DumpMarket(DAY, "XRPETH", "XRP", "ETH")]
    )
    async with exchange, Rest(exchange.rest_url) as rest:
        info = await rest.symbol("XRPETH")
        live = await prepare(rest, listing(), info, base=base, count=40, first=True)
    entry = AccountJoin("real", 1, base + MINUTE, live.first_id or 0, JoinStep.JOINED)
    expected = join_records(listing(), real_account(), entry, live)

    records = [timed.record for timed in market(dump, listing(), Manner(base + 5_000, None, 40))]

    assert records[:3] == expected
    assert len(expected[1].time) == 40  # type: ignore[attr-defined]
    assert ids(records)[0][0] == live.first_id
    assert symbol(dump).filters == info.filters


def test_without_a_start_it_begins_with_the_first_trade_and_no_history() -> None:
    timed = market(Dump(XRP, (DAY,)), listing(), Manner())
    kinds = [next(timed).record.TYPE for _ in range(3)]
    assert kinds == ["epoch", "join", "trades"]


def test_it_joins_at_the_first_trade_from_the_start_on() -> None:
    timed = list(market(Dump(XRP, (DAY,)), listing(), Manner(start=START + 90 * MINUTE + 1)))
    join = next(each.record for each in timed if isinstance(each.record, Join))
    assert join.time == START + 91 * MINUTE
    first = next(each for each in read_dump(DAY) if each.time >= START + 90 * MINUTE)
    assert join.next_id == first.id


@pytest.mark.parametrize(
    "manner",
    [Manner(start=1), Manner(until=START + 10**12), Manner(start=START - 10**12, until=10**14)],
)
def test_years_that_the_files_do_not_hold_are_no_silence(manner: Manner) -> None:
    plain = list(market(Dump(XRP, (DAY,)), listing(), Manner()))
    assert list(market(Dump(XRP, (DAY,)), listing(), manner)) == plain


def test_a_start_that_no_file_reaches_back_to_is_told_of() -> None:
    dump = Dump(XRP, (DAY,))
    first = next(read_dump(DAY)).time
    assert beginning(dump, MINUTE, None) is None
    assert beginning(dump, MINUTE, first // MINUTE * MINUTE) is None
    said = beginning(dump, MINUTE, first // MINUTE * MINUTE - 1)
    assert said is not None
    assert said.startswith(f"{XRP} begins at 2019-10-11T00:00:")


def test_files_continue_each_other(tmp_path: Path) -> None:
    lines = DAY.read_text().splitlines()
    parts = [write(tmp_path / f"{n}.csv", lines[n * 50 : n * 50 + 50]) for n in range(3)]
    assert [each.id for each in trades(Dump(XRP, tuple(parts)))] == [
        int(line.split(",")[0]) for line in lines[:150]
    ]
    with pytest.raises(LockstepError, match="goes back to id"):
        check(Dump(XRP, (parts[1], parts[0])))
    with pytest.raises(LockstepError, match="goes back to id"):
        list(trades(Dump(XRP, (parts[0], write(tmp_path / "over.csv", lines[40:90])))))


def test_two_kinds_of_ids_do_not_mix(tmp_path: Path) -> None:
    aggregates = write(tmp_path / "a.csv", ["5,1.0,2,70,71,1570752000000,True,True"])
    assert check(Dump(XRP, (aggregates,))) is Series.AGGREGATE
    assert check(Dump(XRP, (DAY,))) is Series.RAW
    with pytest.raises(LockstepError, match="holds raw trades after files of aggregate ones"):
        check(Dump(XRP, (aggregates, DAY)))


def test_what_is_no_dump_is_refused_with_its_line(tmp_path: Path) -> None:
    broken = write(tmp_path / "b.csv", [*DAY.read_text().splitlines()[:2], "nonsense"])
    with pytest.raises(DumpError, match=r"b\.csv, line 3"):
        list(market(Dump(XRP, (broken,)), listing(), Manner()))


def test_an_account_of_another_currency_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="counts in USDT but BINANCE:XRPETH is quoted in"):
        list(market(Dump(XRP, (DAY,)), listing(replace_quote(real_account())), Manner()))


def replace_quote(account: Account) -> Account:
    return replace(account, quote="USDT")


def test_a_start_behind_the_last_trade_is_refused() -> None:
    with pytest.raises(LockstepError, match="holds no trade of BINANCE:XRPETH at or after"):
        list(market(Dump(XRP, (DAY,)), listing(), Manner(start=START + 10**9)))


def test_the_number_of_rows_is_about_right(tmp_path: Path) -> None:
    count = len(DAY.read_text().splitlines())
    packed, zipped = tmp_path / "d.csv.gz", tmp_path / "d.zip"
    packed.write_bytes(gzip.compress(DAY.read_bytes()))
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(DAY, "d.csv")
    for path in (DAY, packed, zipped):
        assert rows([path]) == pytest.approx(count, rel=0.05)
    assert rows([write(tmp_path / "empty.csv", [])]) is None
