"""Every sentence that Python composes for the page, found by reading the source.

Where a value is put in stands a place, {0}, {1} and so on, in the order of the source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from app.language import TEXT_KEYS

ROOT = Path(__file__).parents[1]
# Not for the page: what goes to a terminal or to a program, what is code or style.
ELSEWHERE = {
    "app/api.py", "app/components", "app/elsewhere.py", "app/events.py", "app/language.py",
    "app/sentences.py", "app/server", "app/settings.py", "app/theme.py", "app/translation.py",
}  # fmt: skip
SEVERAL_WORDS = re.compile(r"(?=.*[a-z]{3})\S.* .*\S")
A_WORD = re.compile(r"[a-z]{2,}")
NO_SENTENCE = re.compile(r"=>|</(?!sub>)|\n|--|[a-z]{2,}_[a-z]|sans-serif|\.py\b")
# What is said to a component, not shown.
NOT_SHOWN = {"elem_id", "elem_classes", "js", "api_name", "description", "prefix", "suffix"}


def sentences() -> Iterator[str]:
    """In the order of the files; some of them twice."""
    for folder in ("app", "model"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not any(name == each or name.startswith(f"{each}/") for each in ELSEWHERE):
                tree = ast.parse(path.read_text("utf-8"))
                yield from _raised(tree)
                if folder == "app":  # the library speaks to the page by its errors alone
                    yield from _composed(tree)


def _raised(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            for argument in node.exc.args:
                for text in _texts(argument):
                    if SEVERAL_WORDS.search(text):
                        text = f"{text.removesuffix('.')}."
                        yield text[:1].upper() + text[1:]


def _composed(node: ast.AST, key: str = "") -> Iterator[str]:
    """The texts below `node`, which is no error; `key` is that of a dictionary which holds it."""
    if isinstance(node, ast.Raise):
        return
    if (text := _template(node)) is not None:
        worth = A_WORD if key in TEXT_KEYS else SEVERAL_WORDS
        if worth.search(text) and not NO_SENTENCE.search(text):
            yield text
        for inner in getattr(node, "values", ()):
            if isinstance(inner, ast.FormattedValue):
                yield from _composed(inner.value, key)
        return
    if isinstance(node, ast.Dict):
        for name, value in zip(node.keys, node.values, strict=True):
            yield from _composed(value, name.value if isinstance(name, ast.Constant) else "")
        return
    if isinstance(node, ast.keyword) and node.arg in NOT_SHOWN:
        return
    for child in ast.iter_child_nodes(node):
        if not _is_docstring(child):
            yield from _composed(child, key)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _texts(node: ast.AST) -> Iterator[str]:
    """The texts of an expression, one for each of several ways."""
    if (text := _template(node)) is not None:
        yield text
        return
    for child in ast.iter_child_nodes(node):
        yield from _texts(child)


def _template(node: ast.AST) -> str | None:
    """A text with its places; None if the node is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    places = iter(range(len(node.values)))
    return "".join(
        part.value if isinstance(part, ast.Constant) else f"{{{next(places)}}}"
        for part in node.values
    )
