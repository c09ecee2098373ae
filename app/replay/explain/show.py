"""A tree enters; a terminal shows it, or plain lines leave, each with the place to look it up."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from app.replay.explain.tree import Node

_STYLES = {
    "fill": "bold green",
    "order": "bold",
    "refusal": "bold red",
    "halted": "bold red",
    "gap": "red",
    "signal": "cyan",
    "trades": "magenta",
}


def show(tree: Node, console: Console) -> None:
    """Print a tree: drawn on a terminal, else a line a record, two spaces in for each step."""
    if console.is_terminal:
        console.print(_drawn(tree))
        return
    for line in lines(tree):
        console.file.write(f"{line}\n")  # as it is: a console would break the lines


def lines(tree: Node, depth: int = 0, told: dict[str, None] | None = None) -> Iterator[str]:
    """Yield a tree as plain lines; what was told before is not told again."""
    told = {} if told is None else told
    place = _place(tree)
    yield f"{'  ' * depth}{tree.kind}: {tree.says}{f' [{place}]' if place else ''}"
    for child in (*tree.effects, *tree.causes):
        if _key(child) in told:
            yield f"{'  ' * (depth + 1)}{child.kind}: {child.name}, as above"
            continue
        told[_key(child)] = None
        yield from lines(child, depth + 1, told)


def _drawn(tree: Node) -> Tree:
    told: dict[str, None] = {}
    root = Tree(_label(tree), guide_style="dim")
    _grow(root, tree, told)
    return root


def _grow(branch: Tree, tree: Node, told: dict[str, None]) -> None:
    for child in (*tree.effects, *tree.causes):
        if _key(child) in told:
            branch.add(Text(f"{child.kind}: {child.name}, as above", style="dim"))
            continue
        told[_key(child)] = None
        _grow(branch.add(_label(child)), child, told)


def _label(tree: Node) -> Text:
    label = Text()
    label.append(tree.kind, style=_STYLES.get(tree.kind, "bold blue"))
    label.append(f" {tree.says} ")
    label.append(_place(tree), style="dim")
    return label


def _place(tree: Node) -> str:
    """Return topic/partition/offset; the ranges of trades are in what they say."""
    if tree.place is None or tree.kind == "trades":
        return ""
    return "/".join(map(str, tree.place))


def _key(tree: Node) -> str:
    """Return what a node is known by: a record is told in other words where it leads elsewhere."""
    return f"{tree.kind} {tree.name} {tree.says}"
