"""The document, the CSV files, the terminal's summary and the comparison say what was measured."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.core.events import Candle, Fill, Message, Orders, Portfolio, Signal
from app.core.metrics import DEFINITIONS, Unit, measure
from app.report import (
    WRITTEN,
    ComparisonError,
    CsvFiles,
    Report,
    compare,
    comparison_document,
    document,
    page,
    print_summary,
    write_report,
    write_trips,
)
from app.report.compare import divergence
from app.report.csv_files import FILES, SHEETS
from app.times import parse_time
from tests.report.conftest import INFO, drawn
from tests.report.runs import account, fed, records, unmoved, walk


def refuse(word: str) -> Any:
    raise AssertionError(word)


def load(form: bytes) -> dict[str, Any]:
    """Return a document; NaN and infinities are refused."""
    return dict(json.loads(form, parse_constant=refuse))


def test_the_document_has_every_figure(year: Report, ring: Report) -> None:
    for report in (year, ring, Report(INFO, unmoved())):
        content = load(document(report))
        assert content["schema"] == "lockstep-report-1"
        for shown, measured in zip(content["accounts"], report.summary.accounts, strict=True):
            assert list(shown["figures"]) == list(DEFINITIONS)
            for key, value in shown["figures"].items():
                found = measured.figures[key]
                check_value(DEFINITIONS[key].unit, value, found.value)
                assert shown["undefined"].get(key, "") == found.reason


def check_value(unit: Unit, shown: Any, found: Any) -> None:
    if found is None:
        assert shown is None
    elif unit is Unit.MONEY:
        assert isinstance(shown, str)
        assert Decimal(shown) == found
    elif unit is Unit.TIME:
        assert parse_time(shown) == found
    else:
        assert shown == pytest.approx(found, rel=1e-11)


def test_the_document_has_the_trips_and_the_configuration(ring: Report) -> None:
    shown = load(document(ring))["accounts"][0]
    account = ring.summary.accounts[0]
    assert len(shown["trips"]) == len(account.trips)
    assert sum(Decimal(each["profit"]) for each in (*shown["trips"], *shown["open_trips"])) == (
        account.figures["profit"].value
    )
    assert parse_time(shown["trips"][0]["entry_time"]) == account.trips[0].entry_time
    assert shown["configuration"]["risk"]["drawdown"] == "0.5"
    assert shown["from"] == "2019-10-11T00:00:10Z"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_files_hold_every_record(made: list[Message], tmp_path: Path) -> None:
    with CsvFiles(tmp_path) as files:
        for message in made:
            files.write(message)
    for kind in (Candle, Signal, Fill, Portfolio):
        rows = read(tmp_path / SHEETS[kind].name)
        found = [message for message in made if isinstance(message.record, kind)]
        assert [row["id"] for row in rows] == [message.name for message in found]
        assert [row["origin"] for row in rows] == [message.origin for message in found]
        times = [int(row["time_ms"]) for row in rows]
        assert times == [parse_time(row["time"]) for row in rows]
        assert times == [message.record.time for message in found]
    orders = [m.record for m in made if isinstance(m.record, Orders)]
    rows = read(tmp_path / "orders.csv")
    expected = [order for each in orders for order in each.orders]
    assert [row["order_id"] for row in rows] == [order.order_id for order in expected]
    assert [Decimal(row["quantity"]) for row in rows] == [order.quantity for order in expected]


def test_csv_cells_are_plain_and_exact(made: list[Message], tmp_path: Path) -> None:
    with CsvFiles(tmp_path) as files:
        for message in made:
            files.write(message)
    fills = [message.record for message in made if isinstance(message.record, Fill)]
    rows = read(tmp_path / "fills.csv")
    for row, fill in zip(rows, fills, strict=True):
        shown = tuple(row[name] for name in ("price", "quantity", "fee"))
        assert shown == tuple(
            f"{each.normalize():f}" for each in (fill.price, fill.quantity, fill.fee)
        )
    portfolio = [message.record for message in made if isinstance(message.record, Portfolio)][-1]
    last = read(tmp_path / "portfolio.csv")[-1]
    held = json.loads(last["holdings"])
    assert [Decimal(each["cost"]) for each in held] == [each.cost for each in portfolio.holdings]
    assert "\r" not in (tmp_path / "fills.csv").read_text(encoding="utf-8")


def test_csv_files_of_a_run_without_records_have_their_heads(tmp_path: Path) -> None:
    with CsvFiles(tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    assert (tmp_path / "fills.csv").read_text(encoding="utf-8").startswith("id,origin,account,")


def test_trips_are_written_whole(ring: Report, tmp_path: Path) -> None:
    write_trips(tmp_path, ring.summary.accounts)
    rows = read(tmp_path / "trips.csv")
    for each in ring.summary.accounts:
        own = [row for row in rows if row["account"] == each.name]
        assert sum(Decimal(row["profit"]) for row in own) == each.figures["profit"].value
        assert sum(not row["exit_time"] for row in own) == len(each.open_trips)


def test_a_report_is_written_into_a_folder(ring: Report, tmp_path: Path) -> None:
    write_report(tmp_path, ring)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(WRITTEN)
    assert (tmp_path / "report.json").read_bytes() == document(ring)
    assert (tmp_path / "report.html").read_bytes() == page(ring)


def printed(report: Report, *, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=110, color_system=None)
    print_summary(report, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_terminal_shows_tables_and_a_pipe_lines(ring: Report) -> None:
    assert "Sharpe ratio" in printed(ring, terminal=True)
    lines = printed(ring, terminal=False).splitlines()
    assert all(len(line.split("\t")) in (2, 3) for line in lines)
    assert "alpha\ttrips\t14" in lines
    assert "alpha\tcagr\t\u2013" in lines


def test_the_same_run_compares_equal(year: Report) -> None:
    (pairing,) = compare(year, year).pairings
    assert (pairing.divergence, pairing.settings) == (None, ())
    content = load(comparison_document(compare(year, year)))
    assert content["accounts"][0]["first_difference"] is None


def test_a_comparison_names_the_first_order_and_the_parameters_that_differ() -> None:
    steps = walk(200, busy=0.2)
    other = list(steps)
    trade = other[100].trades[0] if other[100].trades else other[99].trades[0]
    at = 100 if other[100].trades else 99
    changed = replace(trade, quantity=trade.quantity * 2)
    other[at] = replace(other[at], trades=(changed, *other[at].trades[1:]))
    first = Report(INFO, measure(fed(records(steps))))
    second = Report(INFO, measure(fed(records(other, account("fork", parameters={"fast": "3"})))))
    (pairing,) = compare(first, second).pairings
    parted = pairing.divergence
    assert parted is not None
    assert parted.left is not None
    assert parted.right is not None
    assert parted.right == replace(parted.left, quantity=parted.left.quantity * 2)
    assert parted.same == sum(len(step.trades) for step in steps[:at])
    assert [(each.name, each.left, each.right) for each in pairing.settings] == [
        ("strategies.momentum", "as they come", "fast 3")
    ]


def test_a_run_with_more_orders_parts_where_the_other_ends(year: Report) -> None:
    orders = year.summary.accounts[0].activity.orders
    parted = divergence(orders[:10], orders)
    assert parted is not None
    assert (parted.same, parted.left, parted.right) == (10, None, orders[10])


def test_runs_without_an_account_in_common_are_refused(ring: Report) -> None:
    with pytest.raises(ComparisonError, match=r"has the accounts alpha, beta and .* has paper"):
        compare(ring, Report(INFO, drawn()))
