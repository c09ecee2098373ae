"""What Prometheus and Grafana are told to look at is there, and what they say leads somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app import data
from app.commands.stack import CHECKOUT
from app.core.events import (
    Allocated,
    Candle,
    Identity,
    Orders,
    Portfolio,
    Record,
    Signal,
    Trades,
    View,
)
from app.dashboard.live.placed import Placed
from app.dashboard.live.tally import BOUNDS, Delays, Tally
from tests.dashboard.conftest import SECRET, Site

DEPLOY = CHECKOUT / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yaml"
BOARD = orjson.loads((DEPLOY / "grafana" / "dashboards" / "lockstep.json").read_bytes())
COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
DOCUMENTED = (data.PACKAGE.parent / "docs" / "monitoring.md").read_text()
NAME = re.compile(r"\blockstep_[a-z_]+\b")
MINUTE = 60_000


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> Iterator[str]:
    for rule in rules():
        yield rule["expr"]
    for panel in BOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in BOARD["templating"]["list"]:
        yield variable["query"]


def headings() -> set[str]:
    lines = re.findall(r"^#+ (.+)$", DOCUMENTED, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.integration
async def test_every_metric_that_is_looked_at_is_exported_and_documented(site: Site) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with site.visitor() as visitor:
        await visitor.ask("/api/topics")  # which waits for the broker's first answer
        async with visitor.session.get("/metrics", headers=headers) as told:
            families = list(text_string_to_metric_families(await told.text()))
    exported = {family.name for family in families}
    # A counter's family has no suffix, its samples have; a histogram's has several.
    samples = exported | {f"{name}_total" for name in exported} | {f"{n}_bucket" for n in exported}
    conditional = {"lockstep_verify_differences", "lockstep_verify_timestamp_seconds"}
    wanted = {name for expression in expressions() for name in NAME.findall(expression)}
    assert wanted - samples - conditional == set()
    written = set(NAME.findall(DOCUMENTED))
    assert {name for name in exported if {name, f"{name}_total"} & written} == exported


def test_rules_say_what_to_do_where_it_is_written() -> None:
    places = {rule["annotations"]["runbook_url"] for rule in rules()}
    assert all(place.startswith("docs/monitoring.md#") for place in places)
    assert {place.partition("#")[2] for place in places} <= headings()


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool, of Debian's prometheus")
def test_promtool_takes_every_rule_and_every_expression(tmp_path: Any) -> None:
    file = tmp_path / "all.yaml"
    filled = (re.sub(r'=~"\$[a-z]+"', '=~".*"', each) for each in expressions())
    records = [{"record": "all", "expr": e} for e in filled if not e.startswith("label_values")]
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": records}]}))
    for checked in (RULES, file):
        subprocess.run(["promtool", "check", "rules", checked], check=True)  # noqa: S603, S607


def test_compose_mounts_what_it_names() -> None:
    services = COMPOSE["services"]
    for name in ("prometheus", "grafana"):
        for volume in services[name]["volumes"]:
            source, _, rest = volume.partition(":")
            assert not source.startswith(".") or (CHECKOUT / source).is_dir()
            assert not source.startswith(".") or rest.endswith(":ro")
    job = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    (scraped,) = job["scrape_configs"]
    assert scraped["authorization"]["credentials_file"] in services["prometheus"]["command"][0]
    provisioned = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioned / "datasources/lockstep.yaml").read_text())[
        "datasources"
    ]
    used = {panel["datasource"]["uid"] for panel in BOARD["panels"] if "datasource" in panel}
    assert used == {source["uid"]}


def test_delays_are_counted_up_to_each_bound() -> None:
    delays = Delays()
    for seconds in (0.0, 0.005, 0.006, 31.0):
        delays.add(seconds)
    classes = dict(delays.classes())
    assert [classes["0.005"], classes["0.01"], classes[str(BOUNDS[-1])]] == [2, 3, 3]
    assert classes["+Inf"] == 4
    assert delays.sum == pytest.approx(31.011)


def test_hops_are_measured_between_the_last_of_each() -> None:
    tally = Tally(MINUTE)
    for time, begun in ((MINUTE, 1_000), (2 * MINUTE, 61_000)):
        for record, later in decision(time):
            identity = None if isinstance(record, Trades) else Identity("x", "a", "a", 1)
            tally.take(Placed(record, identity, None, at=begun + later))
    assert {name: delays.sum for name, delays in tally.hops.items()} == pytest.approx(
        {"candles": 0.02, "signals": 0.03, "portfolio": 0.1, "allocations": 0.2, "orders": 0.4}
    )
    assert tally.decisions["a"].sum == pytest.approx(0.75)
    assert tally.counts["decisions"]["a",] == 2


def decision(time: int) -> Iterator[tuple[Record, int]]:
    """Give all that one decision is made of, and how much later than the bar's close it came."""
    one, zero = Decimal(1), Decimal(0)
    yield Trades("I", (time,), (time,), (time,), (time,), (one,), (one,), (True,), 0), 0
    yield Candle("I", MINUTE, time, one, one, one, one, zero, zero, zero, 0, None, None, True,
                 0, 0), 20  # fmt: skip
    for strategy, later in (("m", 30), ("n", 50)):
        yield Signal("a", "I", strategy, time, 1, View.FLAT, "", {}, one, True, 0), later
    yield Portfolio("a", time, 1, one, one, (), (), (), ()), 150
    yield Allocated("a", time, 1, one, one, (), (), (), (), ()), 350
    yield Orders("a", "I", time, 1, ()), 750
