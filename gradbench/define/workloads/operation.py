"""The workloads of an expression of x: under every method, its backward, and against another expression.

gradbench makes these rows for one expression. They are in no table.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from gradbench.define.workloads.backwards import backward as released
from gradbench.define.workloads.backwards import input_gradient, retaining
from gradbench.define.workloads.user_model import EVALUATION, baseline_of
from gradbench.define.workloads.workload import LEAF, Alternative, Workload
from gradbench.record.plan import USER_MODEL
from gradbench.record.user_file import FileFacts, OperationFacts

# Names that the timed code uses; a setup must not define them.
TAKEN = ("y", "given", "gradient", "guard", "work")
# Parts that compare two expressions.
RECORDED, UNRECORDED, BOTH = "recorded", "unrecorded", "both"

_LEAF = LEAF.replace("base", "x")
_OWN_BUFFER = "x = x.clone()"
# A gradient of ones, as y.sum().backward() has it, without the sum.
_GIVEN = "given = torch.ones_like({})"


def template(expression: str) -> str:
    """The expression with `{x}` in the place of x.

    >>> template("x * 2 + (lambda x: x)(3)")
    '{x} * 2 + (lambda x: x)(3)'
    """
    return ast.unparse(_Marked().visit(ast.parse(expression.strip(), mode="eval")))


class _Marked(ast.NodeTransformer):
    """Puts `{x}` in the place of x, unless x is a parameter of a lambda."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name("{x}", node.ctx) if node.id == "x" else node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        arguments = node.args
        names = [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ]
        if any(each is not None and each.arg == "x" for each in names):
            return node
        return self.generic_visit(node)


def alone(
    title: str, about: str, expression: str, seen: FileFacts, roundings: float, backward: bool
) -> list[Workload]:
    """The rows of one expression: its forward under every method, and its backward where it has one.

    Args:
        title: the name of the expression.
        about: the expression and x, in a few words.
        seen: the behaviour of the expression under methods.
        roundings: as in `Workload`.
    """
    nothing = "" if backward else " Its result does not require gradients, so it has no backward to measure."
    forward = Workload(
        name=USER_MODEL,
        part=EVALUATION,
        title=f"{title}: forward",
        shows=f"The price of a forward under each method: {about}.{nothing}",
        leaf=_LEAF,
        own_buffer=_OWN_BUFFER,
        baseline=baseline_of(seen),
        work=template(expression),
        observed=seen.under,
        dtype=None if seen.result == seen.dtype else seen.result,
        apart=seen.differs is not None and seen.differs.apart,
        normwise=True,
        roundings=roundings,
    )
    if not backward:
        return [forward]
    return [
        forward,
        replace(
            forward,
            part="backward",
            title=f"{title}: backward",
            shows="The price of a backward from a gradient of ones, and of keeping the graph.",
            work=None,
            observed={},
            dtype=None,
            apart=False,
            baseline="backward",
            setup=_GIVEN.format(expression),
            setup_per_call=f"x.grad = None\ny = {expression}",
            alternatives=(
                released("y.backward(given)", "x.grad is not None"),
                retaining("y.backward(given, retain_graph=True)", "x.grad is not None"),
                input_gradient(
                    label="torch.autograd.grad(y, x)",
                    effect="Returns the gradient, and leaves x.grad alone.",
                    code="(gradient,) = torch.autograd.grad(y, x, given)",
                ),
            ),
        ),
    ]


def against(
    title: str, about: str, expressions: tuple[str, str], seen: OperationFacts, roundings: float
) -> list[Workload]:
    """The rows of two expressions in turns: recorded, unrecorded, and forward with backward.

    Expressions without a backward have only the unrecorded row. Arguments as in `alone`.
    """
    relation = _relation("their results", seen.results)
    if seen.gradients:
        relation += f"; {_relation('the gradients of x', seen.gradients)}"
    relation = relation[0].upper() + relation[1:]

    def row(part: str, what: str, code: str, holds: str, setup: str = "") -> Workload:
        return Workload(
            name=USER_MODEL,
            part=part,
            title=f"{title}: {what}",
            shows=f"The price of each expression, {about}. {relation}.",
            leaf=_LEAF,
            own_buffer=_OWN_BUFFER,
            baseline="first",
            normwise=True,
            roundings=roundings,
            alternatives=tuple(
                Alternative(
                    name=name,
                    label=expression,
                    effect="",
                    setup=setup.format(expression),
                    code=code.format(expression),
                    holds=holds,
                    # The run measures an expression also where it is no replacement for the other.
                    group=name if seen.apart else "",
                )
                for name, expression in zip(("first", "against"), expressions, strict=True)
            ),
        )

    unrecorded = row(
        UNRECORDED, "not recorded, under no_grad()", "with torch.no_grad():\n    y = {}", "y.grad_fn is None"
    )
    if not all(seen.backward):
        return [unrecorded]
    return [
        row(RECORDED, "recorded, for a backward", "y = {}", "y.requires_grad"),
        row(BOTH, "forward and backward", "y = {}\ny.backward(given)\nx.grad = None", "", _GIVEN),
        unrecorded,
    ]


def _relation(what: str, clause: str) -> str:
    """A clause on how these results or gradients of two expressions are related."""
    return f"{what} are {clause}" if clause.startswith("equal") else f"of {what}, {clause}"


def alternative_names() -> list[str]:
    """The names of the alternatives for an expression, beside the methods."""
    seen = FileFacts((1,), "float32", "cpu", "float32", "float32", 0, 0, False, True, True, 0.0, 0.0, 0.0)
    rows = alone("", "", "x", seen, 1.0, backward=True)
    return [each.name for row in rows for each in row.alternatives]
