"""From the templates of methods and workloads to code."""

from __future__ import annotations

import ast
import textwrap


def insert(template: str, code: str) -> str:
    """The template with `VARIANT` replaced by code, in the place and at the indentation of the word.

    >>> print(insert("for x in xs:\\n    VARIANT", "y = x\\nz = y"))
    for x in xs:
        y = x
        z = y
    >>> insert("y = VARIANT", "f(x)")
    'y = f(x)'
    """
    lines = []
    for line in template.split("\n"):
        if line.strip() == "VARIANT":
            lines.append(textwrap.indent(code, line[: line.index("VARIANT")]))
        else:
            lines.append(line.replace("VARIANT", code))
    return "\n".join(lines)


def fill(template: str, work: str) -> str:
    """The template with each `WORK(arg)` replaced by the work on arg, with the same meaning.

    >>> fill("y = WORK(x.detach())", "{x} * 2.0")
    'y = x.detach() * 2.0'
    >>> fill("y = WORK(x).detach()", "{x} * 2.0")
    'y = (x * 2.0).detach()'
    """
    return ast.unparse(_Fill(work).visit(ast.parse(template)))


class _Fill(ast.NodeTransformer):
    """Replaces calls of WORK in a syntax tree, so that ast.unparse() adds the parentheses."""

    def __init__(self, work: str) -> None:
        self._work = work

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id == "WORK"):
            return node
        work = ast.parse(self._work.replace("{x}", _Put.NAME), mode="eval").body
        done: ast.AST = _Put(node.args[0]).visit(work)
        return done


class _Put(ast.NodeTransformer):
    """Replaces one name by an expression."""

    NAME = "WORKS_ON"

    def __init__(self, argument: ast.expr) -> None:
        self._argument = argument

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._argument if node.id == self.NAME else node


def joined(*parts: str) -> str:
    return "\n".join(part for part in parts if part)
