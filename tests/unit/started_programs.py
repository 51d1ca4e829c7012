# SPDX-License-Identifier: MIT
"""Finds the programs that Python files start on this host, by the names in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Functions that start or look up a program; methods of a guest, a transport or a fake do not count.
_STARTERS = {
    *("run", "_run", "tied_to_parent", "find_program", "which", "require"),
    *("subprocess.run", "subprocess.Popen", "subprocess.check_output", "subprocess.check_call", "subprocess.call"),
    *("shutil.which", "os.execvp", "session.run"),
}

_BY_NAME = {"find_program", "which", "require", "shutil.which", "session.run"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A program, and the file and line that start it."""

    program: str
    path: Path
    line: int


def started_in(path: Path) -> list[Started]:
    """Programs that a file starts or looks up, by name."""
    return started_by(path.read_text(encoding="utf-8"), path)


def started_by(text: str, path: Path) -> list[Started]:
    """Programs that a file's text starts or looks up."""
    tree = ast.parse(text)
    starts = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args and _is_start(node)]
    if not starts:
        return []
    lists = _Lists(tree)
    found = [
        Started(program=program, path=path, line=node.lineno)
        for node in starts
        for program in lists.all_programs(node.args[0])
    ]
    return [each for each in found if re.fullmatch(r"\w[\w.+-]*", each.program)]


def _is_start(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    # A command line is a list; a function of the same name with a string argument is unrelated.
    return name in _STARTERS and (name in _BY_NAME or not isinstance(call.args[0], ast.Constant))


class _Lists:
    """A file's lists of words, by the names they are assigned to."""

    def __init__(self, tree: ast.Module) -> None:
        self._values: dict[str, list[ast.expr]] = {}
        self._seen: set[int] = set()
        parameters: dict[str, list[str]] = {}
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.Assign):
                for place in node.targets:
                    self._keep(ast.unparse(place), node.value)
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                self._keep(ast.unparse(node.target), node.value)
            elif isinstance(node, ast.For) and isinstance(node.iter, ast.List | ast.Tuple):
                self._keep(ast.unparse(node.target), *node.iter.elts)
            elif isinstance(node, ast.FunctionDef):
                returned = [
                    row.value for row in ast.walk(node) if isinstance(row, ast.Return) and row.value is not None
                ]
                self._keep(f"{node.name}()", *returned)
                names = [argument.arg for argument in node.args.args]
                parameters[node.name] = [name for name in names if name not in ("self", "cls")]
        # Arguments that callers in the same file pass to a function that starts a program.
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                for name, value in zip(parameters.get(node.func.id, []), node.args, strict=False):
                    self._keep(name, value)

    def _keep(self, name: str, *values: ast.expr) -> None:
        self._values.setdefault(name, []).extend(values)

    def all_programs(self, command: ast.expr) -> list[str]:
        """The possible first words of a command line, wherever the file defines them."""
        self._seen.clear()
        return list(self._follow(command))

    def _follow(self, value: ast.expr) -> Iterator[str]:
        if id(value) not in self._seen:
            self._seen.add(id(value))
            yield from self._programs(value)

    def _programs(self, value: ast.expr) -> Iterator[str]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value
        elif isinstance(value, ast.List | ast.Tuple):
            for element in value.elts:
                found = list(self._follow(element))
                yield from found
                # `[*prefix, "apt-get"]`: if the prefix is empty, the next word is the program.
                if found and not (isinstance(element, ast.Starred) and self._may_be_empty(element.value)):
                    break
        elif isinstance(value, ast.Starred):
            yield from self._follow(value.value)
        elif isinstance(value, ast.IfExp):
            yield from self._follow(value.body)
            yield from self._follow(value.orelse)
        elif isinstance(value, ast.BinOp):
            yield from self._follow(value.left)
        elif isinstance(value, ast.Call):
            for returned in self._values.get(f"{ast.unparse(value.func)}()", []):
                yield from self._follow(returned)
            if ast.unparse(value.func).endswith("tied_to_parent") and value.args:
                yield from self._follow(value.args[0])
        elif isinstance(value, ast.Name | ast.Attribute):
            for assigned in self._values.get(ast.unparse(value), []):
                yield from self._follow(assigned)

    def _may_be_empty(self, value: ast.expr) -> bool:
        if isinstance(value, ast.List | ast.Tuple):
            return not value.elts
        if isinstance(value, ast.IfExp):
            return self._may_be_empty(value.body) or self._may_be_empty(value.orelse)
        name = f"{ast.unparse(value.func)}()" if isinstance(value, ast.Call) else ast.unparse(value)
        values = self._values.get(name, [])
        return any(isinstance(each, ast.List | ast.Tuple | ast.IfExp) and self._may_be_empty(each) for each in values)
