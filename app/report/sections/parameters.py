"""An account's configuration enters; its table of parameters leaves."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

from app.core.decimals import plain
from app.core.metrics import AccountSummary
from app.report.markup import Markup
from app.report.numbers import duration
from app.report.sections.table import section, table

MILLISECONDS = ("latency", "stale_after")


def parameters(account: AccountSummary, name: str) -> Markup:
    """Return everything the account was configured with."""
    rows = [[key, value] for key, value in settings(account).items()]
    body = table(["Parameter", "Value"], rows, words=2)
    return section(f"{name}-parameters", "Parameters", body)


def settings(account: AccountSummary) -> dict[str, str]:
    """Return the account's parameters as text by dotted name, in the configuration's order."""
    conditions = account.conditions
    configured = conditions.account
    found = {
        "interval": duration(conditions.interval),
        "version": str(conditions.version),
        "capital": f"{plain(configured.capital)} {configured.quote}",
        "instruments": ", ".join(configured.instruments),
    }
    for setting in configured.strategies:
        found[f"strategies.{setting.name}"] = (
            ", ".join(f"{key} {value}" for key, value in sorted(setting.parameters.items()))
            or "as they come"
        )
    for part in ("allocation", "risk", "execution"):
        found |= _fields(part, getattr(configured, part))
    for name, filters in conditions.filters.items():
        found[f"filters.{name}"] = ", ".join(_fields("", filters, " ").values())
    return found


def _fields(prefix: str, record: object, between: str = "") -> dict[str, str]:
    found = {}
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        value = _text(field.name, getattr(record, field.name))
        found[f"{prefix}.{field.name}"] = f"{field.name}{between}{value}" if between else value
    return found


def _text(name: str, value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return duration(value) if isinstance(value, int) and name in MILLISECONDS else str(value)
