"""Names, attributes and text enter; HTML and SVG leave, everything that is not markup escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import orjson

VOID = frozenset({"meta", "br", "hr", "col"})


class Markup(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


_ENDING = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&"})
"""Signs that could end a script element, or begin a comment in it, as JSON may write them."""

Child = str | Markup
"""A child of an element: plain text is escaped, markup is not."""


def text(child: Child) -> Markup:
    """Return text as markup."""
    return child if isinstance(child, Markup) else Markup(escape(child))


def join(children: Iterable[Child], between: str = "") -> Markup:
    """Return children one after the other."""
    return Markup(between.join(text(child) for child in children))


def tag(name: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """Return an element.

    Args:
        name: Of the element.
        children: Its content.
        attributes: By name, `_` for `-`, one at the end dropped (`class_`); none leaves it out.
    """
    written = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def data(name: str, document: dict[str, Any]) -> Markup:
    """Return a document as an element that browsers show nothing of and don't run."""
    written = Markup(orjson.dumps(document).decode().translate(_ENDING))
    return tag("script", written, type="application/json", id=name)
