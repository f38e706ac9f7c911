"""The plan: what is asked for and nothing else, the same for the same request, and as code what it says."""

import ast
import os
import subprocess
import sys

import msgspec
import pytest

from gradbench.errors import RequestError
from gradbench.methods import METHODS, REFERENCE
from gradbench.plan import DTYPES, Expectation, Plan, Request, fill, make_plan
from gradbench.sizes import CLASSES, size_class
from gradbench.workloads import WORKLOADS

WORKLOAD_NAMES = [workload.name for workload in WORKLOADS]
METHOD_NAMES = [method.name for method in METHODS]
EVERYTHING = make_plan(Request())


def names(comparison):
    return [lane.name for lane in comparison.lanes]


def roles(comparison):
    return [lane.role for lane in comparison.lanes]


def test_nothing_named_means_everything_in_the_order_of_the_tables():
    assert [(each.workload, each.size) for each in EVERYTHING.comparisons] == [
        (workload, size) for workload in WORKLOAD_NAMES for size in CLASSES
    ]
    for each in EVERYTHING.comparisons:
        assert (each.dtype, each.device) == ("float32", "cpu")


def test_every_method_is_in_every_comparison_or_is_left_out_with_a_reason():
    for comparison in EVERYTHING.comparisons:
        measured = [lane.name for lane in comparison.lanes if lane.role in ("reference", "method")]
        assert sorted([*measured, *comparison.skipped]) == sorted(METHOD_NAMES)
        assert all(comparison.skipped.values())
        without_work = {method.name for method in METHODS if method.alone is None}
        assert set(comparison.skipped) == (without_work if comparison.workload == "control" else set())


def test_names_are_unique():
    assert len({each.id for each in EVERYTHING.comparisons}) == len(EVERYTHING.comparisons)
    for comparison in EVERYTHING.comparisons:
        assert len(set(names(comparison))) == len(comparison.lanes)


def test_every_comparison_has_one_reference_one_of_each_twin_and_one_empty_loop():
    for comparison in EVERYTHING.comparisons:
        for role in ("reference", "twin", "twin_own_buffer", "empty"):
            assert roles(comparison).count(role) == 1


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_the_reference_and_its_controls_are_measured_whatever_method_is_asked_for(method):
    for comparison in make_plan(Request(methods=(method,))).comparisons:
        asked = {method, REFERENCE} - set(comparison.skipped)
        assert set(names(comparison)) == asked | {"twin", "twin_own_buffer", "empty"}
        (reference,) = (lane for lane in comparison.lanes if lane.role == "reference")
        assert reference.name == REFERENCE


def test_the_order_and_the_repetition_of_what_is_asked_do_not_matter():
    one = Request(("chain", "control"), ("no_grad", "detach"), ("small", "large"))
    other = Request(
        ("control", "chain", "control"), ("detach", "no_grad", "detach"), ("large", "1e6", "small")
    )
    assert make_plan(one) == make_plan(other)


def test_what_is_asked_is_what_is_planned():
    request = Request(("matmul",), ("no_grad",), ("1:1e4:3",), dtype="float64", seed=7)
    comparisons = make_plan(request).comparisons
    assert [(each.numel, each.shape, each.size) for each in comparisons] == [
        (1, (1, 1), "small"),
        (100, (10, 10), "small"),
        (10_000, (100, 100), "medium"),
    ]
    for each in comparisons:
        assert each.dtype == "float64"
        assert "torch.manual_seed(7)" in each.prepare.splitlines()
        assert each.prepare.count("dtype=torch.float64") == 2


def test_another_device_is_named_where_every_input_is_made():
    comparison = make_plan(Request(("matmul",), (), ("small",), device="cuda:1")).comparisons[0]
    assert comparison.device == "cuda:1"
    assert comparison.prepare.count('device="cuda:1"') == 2


def test_a_class_is_planned_with_a_size_inside_it():
    for size in CLASSES:
        for comparison in make_plan(Request(sizes=(size,))).comparisons:
            assert comparison.size == size == size_class(comparison.numel)


def test_the_same_request_makes_the_same_plan_in_any_process():
    code = (
        "import msgspec, sys; from gradbench.plan import Request, make_plan; "
        "sys.stdout.buffer.write(msgspec.json.encode(make_plan(Request(sizes=('large', '7', '1:1e3')))))"
    )
    plans = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert plans[0] == plans[1]
    assert msgspec.json.decode(plans[0], type=Plan) == make_plan(Request(sizes=("large", "7", "1:1e3")))


@pytest.mark.parametrize(
    ("request_", "option", "known", "near"),
    [
        (Request(workloads=("chian",)), "--workload chian", WORKLOAD_NAMES, "chain"),
        (Request(workloads=("control", "matmull")), "--workload matmull", WORKLOAD_NAMES, "matmul"),
        (Request(methods=("no_grd",)), "--method no_grd", METHOD_NAMES, "no_grad"),
        (Request(methods=("no_grad", "inference")), "--method inference", METHOD_NAMES, "inference_mode"),
        (Request(dtype="float23"), "--dtype float23", DTYPES, "float32"),
    ],
    ids=["workload", "second workload", "method", "second method", "dtype"],
)
def test_a_name_that_does_not_exist_is_refused_with_the_names_that_do_and_the_nearest(
    request_, option, known, near
):
    with pytest.raises(RequestError) as refused:
        make_plan(request_)
    message = str(refused.value)
    assert message.startswith(f"{option}: expected one of {', '.join(known)}")
    assert message.endswith(f"; did you mean {near}?")
    assert "\n" not in message


@pytest.mark.parametrize(
    "request_", [Request(workloads=("xyzzy",)), Request(methods=("xyzzy",)), Request(dtype="xyzzy")]
)
def test_nothing_is_suggested_where_nothing_is_near(request_):
    with pytest.raises(RequestError, match="xyzzy: expected one of") as refused:
        make_plan(request_)
    assert "mean" not in str(refused.value)


def test_a_size_that_cannot_be_is_refused_before_anything_is_planned():
    with pytest.raises(RequestError, match="--size huge: expected small, medium, large"):
        make_plan(Request(sizes=("small", "huge")))


def test_a_twin_is_the_reference_in_all_but_its_name():
    for comparison in EVERYTHING.comparisons:
        lanes = {lane.role: msgspec.structs.asdict(lane) for lane in comparison.lanes}
        reference = lanes["reference"]
        differs = {key for key in reference if lanes["twin"][key] != reference[key]}
        assert differs == {"name", "label", "role"}
        own = lanes["twin_own_buffer"]
        assert {key for key in reference if own[key] != reference[key]} == {"name", "label", "role", "setup"}
        assert own["setup"] == "base = base.clone()\n" + reference["setup"]


def test_the_empty_loop_promises_nothing_and_does_nothing():
    for comparison in EVERYTHING.comparisons:
        empty = comparison.lanes[-1]
        assert (empty.role, empty.setup, empty.statement, empty.probe) == ("empty", "", "pass", "")
        assert empty.expect == Expectation()


def test_a_lane_carries_the_label_and_the_source_of_its_method():
    known = {method.name: (method.label, method.source) for method in METHODS}
    for comparison in EVERYTHING.comparisons:
        for lane in comparison.lanes:
            if lane.role in ("method", "reference"):
                assert (lane.label, lane.source) == known[lane.name]


@pytest.mark.parametrize(
    ("template", "work", "expected"),
    [
        ("y = WORK(x)", "{x} * 2.0", "y = x * 2.0"),
        ("y = WORK(x.detach())", "{x} * 2.0", "y = x.detach() * 2.0"),
        ("y = WORK(x).detach()", "{x} * 2.0", "y = (x * 2.0).detach()"),
        ("y = WORK(x).detach()", "torch.exp({x})", "y = torch.exp(x).detach()"),
        ("y = WORK(f(g(x), (1, 2)))", "h({x})", "y = h(f(g(x), (1, 2)))"),
        ("a = WORK(x)\nb = WORK(z).detach()", "{x} @ w", "a = x @ w\nb = (z @ w).detach()"),
        ("y = WORK(x)", "{x} * {x}", "y = x * x"),
        ("with torch.no_grad():\n    pass", "{x} * 2.0", "with torch.no_grad():\n    pass"),
        ("", "{x} * 2.0", ""),
    ],
)
def test_the_work_takes_the_place_of_its_name(template, work, expected):
    assert fill(template, work) == expected


class Put(ast.NodeTransformer):
    """Puts the work in the place of each call of WORK, with all the parentheses that there can be."""

    def __init__(self, work):
        self.work = work

    def visit_Call(self, node):
        self.generic_visit(node)
        if ast.unparse(node.func) != "WORK":
            return node
        return ast.parse(self.work.replace("{x}", f"({ast.unparse(node.args[0])})"), mode="eval").body


def keeps_its_meaning(template, work):
    return ast.dump(Put(work).visit(ast.parse(template))) == ast.dump(ast.parse(fill(template, work)))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("work", [each.work for each in WORKLOADS if each.work])
def test_every_work_keeps_its_meaning_in_every_method(method, work):
    assert keeps_its_meaning(method.within, work)
    assert keeps_its_meaning(method.setup, work)


@pytest.mark.parametrize(
    "template", ["y = WORK(x)", "y = WORK(x.detach()).detach()", "y = f(WORK(x), WORK(z))"]
)
@pytest.mark.parametrize("work", ["{x} * 2.0", "{x} ** 2", "f({x})", "{x} + {x}", "{x}.sum()"])
def test_the_work_keeps_its_meaning_in_a_statement_and_as_an_argument(template, work):
    assert keeps_its_meaning(template, work)


@pytest.mark.parametrize(
    ("template", "work"),
    [
        ("y = WORK(x).detach()", "-{x}"),
        ("y = WORK(x)[0]", "{x} * 2.0"),
        ("y = 2.0 * WORK(x)", "{x} + 1.0"),
        ("y = WORK(x) * 2.0", "{x} + 1.0"),
        ("y = WORK(x + z)", "{x} * 2.0"),
        ("y = WORK(-x)", "{x} ** 2"),
        ("y = WORK(WORK(x))", "{x} * 2.0 + 1.0"),
    ],
)
def test_the_work_keeps_its_meaning_inside_another_expression(template, work):
    assert keeps_its_meaning(template, work)
