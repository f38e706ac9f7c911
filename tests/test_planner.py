"""The plan: what is asked for and nothing else, the same for the same request, and as code what it says."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys

import msgspec
import pytest

from gradbench.define.dtypes import DTYPES
from gradbench.define.methods import BASELINE, METHODS
from gradbench.define.planner import plan_run
from gradbench.define.sizes import CLASSES, size_class
from gradbench.define.templates import fill, insert
from gradbench.define.workloads import PRESETS, WORKLOADS
from gradbench.errors import RequestError
from gradbench.record.plan import Expectation, Plan, Request

WORKLOAD_NAMES = list(dict.fromkeys(workload.name for workload in WORKLOADS))
METHOD_NAMES = [method.name for method in METHODS]
VARIANT_NAMES = list(
    dict.fromkeys(
        [*METHOD_NAMES, *(alternative.name for each in WORKLOADS for alternative in each.alternatives)]
    )
)
EVERYTHING_ASKED = Request()
EVERYTHING = plan_run(EVERYTHING_ASKED)


def names(comparison):
    return [variant.name for variant in comparison.variants]


def roles(comparison):
    return [variant.role for variant in comparison.variants]


def test_nothing_named_means_everything_in_the_order_of_the_tables():
    assert [(each.workload, each.part, each.size) for each in EVERYTHING.comparisons] == [
        (workload.name, workload.part, size)
        for workload in WORKLOADS
        for size in workload.presets[EVERYTHING_ASKED.preset]
    ]
    for each in EVERYTHING.comparisons:
        assert (each.dtype, each.device) == ("float32", "cpu")


def test_every_method_is_in_every_comparison_of_methods_or_is_left_out_with_a_reason():
    without_work = {method.name for method in METHODS if method.alone is None}
    on_input = {method.name for method in METHODS if method.on_input}
    for comparison in EVERYTHING.comparisons:
        (workload,) = (
            each for each in WORKLOADS if (each.name, each.part) == (comparison.workload, comparison.part)
        )
        if workload.alternatives:
            continue
        measured = [variant.name for variant in comparison.variants if variant.role in ("baseline", "method")]
        assert sorted([*measured, *comparison.skipped]) == sorted(workload.methods or METHOD_NAMES)
        assert all(comparison.skipped.values())
        expected = without_work if workload.work is None else on_input if workload.on_model else set()
        assert set(comparison.skipped) == expected


def test_every_way_is_in_every_comparison_of_ways_or_is_left_out_with_a_reason():
    for comparison in EVERYTHING.comparisons:
        if comparison.alternatives:
            (workload,) = (
                each for each in WORKLOADS if (each.name, each.part) == (comparison.workload, comparison.part)
            )
            measured = [
                variant.name for variant in comparison.variants if variant.role in ("baseline", "method")
            ]
            assert sorted([*measured, *comparison.skipped]) == sorted(
                alternative.name for alternative in workload.alternatives
            )
            assert comparison.baseline.name == workload.baseline
            assert all(comparison.skipped.values())


def test_a_deeper_preset_measures_all_that_a_quicker_one_does():
    plans = [{each.id for each in plan_run(Request(preset=preset)).comparisons} for preset in PRESETS]
    assert plans[0] < plans[1] < plans[2]


def test_a_workload_named_is_measured_even_where_its_preset_leaves_it_out():
    assert not any(each.workload == "freeze" for each in plan_run(Request(preset="quick")).comparisons)
    named = plan_run(Request(workloads=("freeze",), preset="quick")).comparisons
    assert {each.part for each in named} == {"forward", "backward", "step", "training"}


def test_a_way_that_needs_a_compiler_is_left_out_where_there_is_none(monkeypatch):
    request = Request(workloads=("custom",), sizes=("large",), preset="thorough")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for comparison in plan_run(request).comparisons:
        assert "there is no c compiler here" in comparison.skipped["fused_native"]
        assert "there is no c++ compiler here" in comparison.skipped["fused_compiled"]
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    for comparison in plan_run(request).comparisons:
        assert set(comparison.skipped) <= {"fused_triton", "graphed", "replayed"}
        assert set(comparison.skipped.values()) == {"it works on cuda, not on cpu"}


def test_on_a_gpu_a_way_needs_what_compiles_for_it(monkeypatch):
    request = Request(("custom",), (), ("large",), device="cuda", preset="thorough")
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for comparison in plan_run(request).comparisons:
        for each in ("fused_triton", "fused_compiled"):
            assert comparison.skipped[each] == "there is no package triton here"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    for comparison in plan_run(request).comparisons:
        assert set(comparison.skipped) == {"fused_native"}
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for comparison in plan_run(request).comparisons:
        assert "there is no c compiler here" in comparison.skipped["fused_triton"]


def test_a_way_of_a_deeper_preset_is_measured_where_it_is_asked_for_by_name(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    plan = plan_run(Request(workloads=("custom",), methods=("fused_compiled",), sizes=("large",)))
    for comparison in plan.comparisons:
        assert names(comparison) == ["composed", "twin", "twin_own_buffer", "fused_compiled", "empty"]


def test_a_way_that_is_another_below_some_size_is_left_out_there():
    (forward, *_) = plan_run(Request(workloads=("custom",), sizes=("small",), preset="thorough")).comparisons
    assert "from 32,768 elements on" in forward.skipped["fused_compiled"]


def test_a_method_brings_in_only_the_workloads_that_have_a_way_of_that_name():
    planned = plan_run(Request(methods=("optimizer_fused",))).comparisons
    assert {each.workload for each in planned if each.alternatives} == {"update"}


def test_a_comparison_that_does_not_fit_is_left_out_with_a_reason():
    plan = plan_run(Request(workloads=("accumulate", "chain"), sizes=("1e6",), preset="thorough"))
    assert {each.workload for each in plan.comparisons} == {"chain"}
    assert (
        "1,000,000 elements are more than its limit of 10,000"
        in plan.skipped["accumulate.evaluation/1000000/float32/cpu"]
    )
    plan = plan_run(Request(workloads=("placement", "chain"), dtype="bfloat16"))
    assert {each.workload for each in plan.comparisons} == {"chain"}
    assert all("not in bfloat16" in why for why in plan.skipped.values())


def test_a_request_of_which_nothing_is_left_is_refused_with_the_reasons():
    with pytest.raises(RequestError, match=r"^nothing to measure: .*not in bfloat16"):
        plan_run(Request(workloads=("placement",), dtype="bfloat16"))


@pytest.mark.parametrize(
    ("template", "code", "expected"),
    [
        ("y = VARIANT", "f(x)", "y = f(x)"),
        ("VARIANT", "a = 1\nb = 2", "a = 1\nb = 2"),
        ("for i in j:\n    VARIANT\nz", "a = 1\nb = 2", "for i in j:\n    a = 1\n    b = 2\nz"),
        ("", "f(x)", ""),
    ],
)
def test_a_way_takes_the_place_and_the_indentation_of_its_word(template, code, expected):
    assert insert(template, code) == expected


def test_every_variant_is_python():
    for comparison in plan_run(Request(preset="thorough")).comparisons:
        for variant in comparison.variants:
            for code in (
                comparison.prepare,
                variant.setup,
                variant.setup_per_call,
                variant.statement,
                variant.probe,
            ):
                ast.parse(code)
                assert "VARIANT" not in code
                assert "WORK(" not in code
            for expression in (variant.result, variant.holds):
                assert not expression or ast.parse(expression, mode="eval")


def test_names_are_unique():
    assert len({each.id for each in EVERYTHING.comparisons}) == len(EVERYTHING.comparisons)
    for comparison in EVERYTHING.comparisons:
        assert len(set(names(comparison))) == len(comparison.variants)


def test_every_comparison_has_one_baseline_one_of_each_twin_and_one_empty_loop():
    for comparison in EVERYTHING.comparisons:
        for role in ("baseline", "twin", "twin_own_buffer", "empty"):
            assert roles(comparison).count(role) == 1


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_the_baseline_and_its_controls_are_measured_whatever_method_is_asked_for(method):
    for comparison in plan_run(Request(methods=(method,))).comparisons:
        if comparison.alternatives:
            continue
        asked = {method, BASELINE} - set(comparison.skipped)
        if comparison.workload == "break_even":
            asked &= {"tracked", "requires_grad_false", "detach", "no_grad", "inference_mode"}
        assert set(names(comparison)) == asked | {"twin", "twin_own_buffer", "empty"}
        (baseline,) = (variant for variant in comparison.variants if variant.role == "baseline")
        assert baseline.name == BASELINE


def test_the_order_and_the_repetition_of_what_is_asked_do_not_matter():
    one = Request(("chain", "control"), ("no_grad", "detach"), ("small", "large"))
    other = Request(
        ("control", "chain", "control"), ("detach", "no_grad", "detach"), ("large", "1e6", "small")
    )
    assert plan_run(one) == plan_run(other)


def test_what_is_asked_is_what_is_planned():
    request = Request(("matmul",), ("no_grad",), ("1:1e4:3",), dtype="float64", seed=7)
    comparisons = plan_run(request).comparisons
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
    comparison = plan_run(Request(("matmul",), (), ("small",), device="cuda:1")).comparisons[0]
    assert comparison.device == "cuda:1"
    assert comparison.prepare.count('device="cuda:1"') == 2


def test_a_class_is_planned_with_a_size_inside_it():
    for size in CLASSES:
        for comparison in plan_run(Request(sizes=(size,))).comparisons:
            assert comparison.size == size == size_class(comparison.numel)


def test_the_same_request_makes_the_same_plan_in_any_process():
    code = (
        "import msgspec, sys; from gradbench.define.planner import plan_run\n"
        "from gradbench.record.plan import Request\n"
        "sys.stdout.buffer.write(msgspec.json.encode(plan_run(Request(sizes=('large', '7', '1:1e3')))))"
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
    assert msgspec.json.decode(plans[0], type=Plan) == plan_run(Request(sizes=("large", "7", "1:1e3")))


@pytest.mark.parametrize(
    ("request_", "option", "near"),
    [
        (Request(workloads=("chian",)), "--workload chian", "chain"),
        (Request(workloads=("control", "matmull")), "--workload matmull", "matmul"),
        (Request(methods=("no_grd",)), "--method no_grd", "no_grad"),
        (Request(methods=("no_grad", "inference")), "--method inference", "inference_mode"),
        (Request(dtype="float23"), "--dtype float23", "float32"),
    ],
    ids=["workload", "second workload", "method", "second method", "dtype"],
)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest(request_, option, near):
    with pytest.raises(RequestError) as refused:
        plan_run(request_)
    assert str(refused.value) == f"{option}: there is no such name; did you mean {near}?"


@pytest.mark.parametrize(
    ("request_", "known"),
    [
        (Request(workloads=("xyzzy",)), WORKLOAD_NAMES),
        (Request(methods=("xyzzy",)), VARIANT_NAMES),
        (Request(dtype="xyzzy"), DTYPES),
    ],
)
def test_where_nothing_is_near_the_names_that_there_are_stand_there(request_, known):
    with pytest.raises(RequestError) as refused:
        plan_run(request_)
    assert str(refused.value).endswith(f" xyzzy: expected one of {', '.join(known)}")


def test_of_the_names_those_stand_there_that_fit_the_workload():
    def said(workload):
        with pytest.raises(RequestError) as refused:
            plan_run(Request(workloads=(workload,), methods=("xyzzy",)))
        return str(refused.value)

    alternatives = {
        alternative.name for each in WORKLOADS if each.name == "update" for alternative in each.alternatives
    }
    assert set(said("update").partition("one of ")[2].split(", ")) == alternatives
    assert set(said("control").partition("one of ")[2].split(", ")) == {method.name for method in METHODS}


def test_a_size_that_cannot_be_is_refused_before_anything_is_planned():
    with pytest.raises(RequestError, match="--size huge: expected small, medium, large"):
        plan_run(Request(sizes=("small", "huge")))


def test_a_twin_is_the_baseline_in_all_but_its_name():
    for comparison in EVERYTHING.comparisons:
        variants = {variant.role: msgspec.structs.asdict(variant) for variant in comparison.variants}
        baseline = variants["baseline"]
        differs = {key for key in baseline if variants["twin"][key] != baseline[key]}
        assert differs == {"name", "label", "role"}
        own = variants["twin_own_buffer"]
        assert {key for key in baseline if own[key] != baseline[key]} == {"name", "label", "role", "setup"}
        assert own["setup"] == "base = base.clone()\n" + baseline["setup"]


def test_the_empty_loop_promises_nothing_and_does_nothing():
    for comparison in EVERYTHING.comparisons:
        empty = comparison.variants[-1]
        assert (empty.role, empty.setup, empty.statement, empty.probe) == ("empty", "", "pass", "")
        assert empty.expect == Expectation()


def test_a_variant_carries_the_label_and_the_source_of_its_method():
    known = {method.name: (method.label, method.source) for method in METHODS}
    for comparison in EVERYTHING.comparisons:
        for variant in comparison.variants:
            if variant.role in ("method", "baseline") and not comparison.alternatives:
                assert (variant.label, variant.source) == known[variant.name]


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


def every_variant(device):
    """All workloads on a device, at their smallest, each with its variants."""
    return plan_run(Request(device=device, sizes=("small",), preset="thorough"))


def test_several_devices_are_in_one_plan_each_with_the_same_comparisons():
    plan = plan_run(Request(("chain", "custom"), (), ("small",), device="cpu,cuda,cuda:1"))
    by_device = {}
    for each in plan.comparisons:
        by_device.setdefault(each.device, []).append(each.name)
    assert list(by_device) == ["cpu", "cuda:0", "cuda:1"]
    assert len({tuple(names) for names in by_device.values()}) == 1
    assert len({each.id for each in plan.comparisons}) == len(plan.comparisons)


def test_on_a_gpu_everything_that_a_variant_touches_is_on_that_gpu():
    """By tensors without data: torch refuses to mix them with others, as it does a GPU's with the CPU's."""
    import torch

    from gradbench.measure.variant import ReadyVariant, prepare

    ran = 0
    for planned in every_variant("cuda:0").comparisons:
        text = msgspec.json.encode(planned).replace(b"cuda:0", b"meta")
        comparison = msgspec.json.decode(text, type=type(planned))
        shared = prepare(comparison)
        for value in shared.values():
            tensors = value.parameters() if isinstance(value, torch.nn.Module) else [value]
            assert {each.device.type for each in tensors if isinstance(each, torch.Tensor)} <= {"meta"}
        for variant in comparison.variants:
            # There is no data to take a number from, and no kernel to fuse or compile.
            if comparison.workload == "placement" or variant.name in (
                "item", "optimizer_fused", "fused_compiled", "graphed", "replayed"
            ):  # fmt: skip
                continue
            y = ReadyVariant(variant, shared).run()
            assert y is None or y.device.type == "meta", (comparison.id, variant.name)
            ran += 1
    assert ran > 200


def test_no_variant_on_the_cpu_names_a_device():
    for each in every_variant("cpu").comparisons:
        text = msgspec.json.encode((each.prepare, each.variants)).decode()
        assert "DEVICE" not in text
        assert "device" not in each.prepare


def test_what_works_on_the_cpu_only_is_left_out_elsewhere_with_the_reason():
    custom = next(each for each in every_variant("cuda:0").comparisons if each.workload == "custom")
    assert custom.skipped["fused_native"] == "it works on cpu, not on cuda:0"


def test_a_size_that_cannot_fit_what_is_free_is_left_out_with_both_figures():
    request = Request(("elementwise",), (), ("1e3", "1e6"), device="cuda:0", room={"cuda:0": 5_000_000})
    plan = plan_run(request)
    assert [each.numel for each in plan.comparisons] == [1000]
    assert plan.skipped == {
        "elementwise/1000000/float32/cuda:0": "it takes at least 12,000,000 bytes; 5,000,000 were "
        "free on cuda:0"
    }
    half = plan_run(msgspec.structs.replace(request, dtype="float16", room={"cuda:0": 6_000_000}))
    assert [each.numel for each in half.comparisons] == [1000, 1_000_000]


def test_an_accelerator_is_measured_where_it_is_full_as_well_and_as_far_as_there_is_room():
    def sizes(**options):
        plan = plan_run(Request(("chain",), ("no_grad",), **options))
        return [each.numel for each in plan.comparisons]

    assert sizes() == [100, 10_000, 1_000_000]
    assert sizes(device="cuda:0") == [100, 10_000, 1_000_000, 100_000_000]
    assert sizes(device="cuda:0", sizes=("large",)) == [1_000_000]
    room = 8 * 4 * 10**8
    assert sizes(device="cuda:0", room={"cuda:0": room})[-1] == 10**8
    assert sizes(device="cuda:0", room={"cuda:0": room - 1})[-1] == 10**7
    assert sizes(device="cuda:0", room={"cuda:0": room // 100})[-1] == 10**6
    # Of which graphs and gradients need more there is less room.
    custom = plan_run(Request(("custom",), device="cuda:0", room={"cuda:0": 10 * 10**9 - 1})).comparisons
    assert max(each.numel for each in custom) == 10**7
    # Half as many bytes.
    assert sizes(device="cuda:0", dtype="float16", room={"cuda:0": room // 2})[-1] == 10**8


def test_where_nothing_fits_the_request_is_refused():
    with pytest.raises(RequestError, match="12 were free on cuda:0"):
        plan_run(Request(("elementwise",), (), ("small",), device="cuda:0", room={"cuda:0": 12}))


def test_cold_calls_are_fed_by_a_flush_and_keep_what_else_feeds_them():
    plan = plan_run(Request(("chain", "retain"), (), ("small",), device="cuda:0", cold=True))
    chain, retain = plan.comparisons
    assert {variant.setup_per_call for variant in chain.variants} == {"flush.zero_()"}
    assert all(variant.keeps_graph for variant in chain.variants)
    assert chain.prepare.endswith('flush = torch.zeros(268435456, dtype=torch.uint8, device="cuda:0")')
    for variant in retain.variants:
        assert variant.setup_per_call.splitlines()[-1] == "flush.zero_()"
        assert variant.role == "empty" or "x.grad = None" in variant.setup_per_call


def test_cold_is_refused_on_the_cpu():
    with pytest.raises(RequestError, match="--cold flushes the cache of an accelerator"):
        plan_run(Request(("chain",), device="cpu,cuda:0", cold=True))
