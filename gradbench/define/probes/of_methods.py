"""Questions for every method."""

from __future__ import annotations

from gradbench.define.probes.probe import ATTEMPT, BEGIN, NOTES, PROFILE, Probe

TORCH = "https://docs.pytorch.org/docs/stable/generated/torch."

START = BEGIN + "x = torch.ones(3, requires_grad=True)\n"

PROBES: tuple[Probe, ...] = (
    Probe(
        id="persistence",
        question="Is an operation recorded inside and afterwards, on x and on what the method hands on?",
        source=NOTES + "#locally-disabling-gradient-computation",
        work="inside({x})",
        code=START
        + """
def inside(given):
    observed["given_inside"] = (given * 2.0).requires_grad
    observed["x_inside"] = (x * 2.0).requires_grad
    return given

VARIANT
observed["x_after"] = (x * 2.0).requires_grad
observed["result_after"] = (y * 2.0).requires_grad
with torch.enable_grad():
    observed["x_under_enable_grad"] = (x * 2.0).requires_grad
    observed["result_under_enable_grad"] = (y * 2.0).requires_grad
""",
    ),
    Probe(
        id="reversibility",
        question="Is tracking back by itself, by enable_grad() inside, by requires_grad_(True) later?",
        source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.requires_grad_.html",
        work="inside({x})",
        code=START
        + ATTEMPT
        + """
def inside(given):
    observed["given_inside"] = (given * 2.0).requires_grad
    with torch.enable_grad():
        observed["given_under_enable_grad"] = (given * 2.0).requires_grad
    return given

VARIANT
observed["x_by_itself"] = (x * 2.0).requires_grad
observed["result_by_itself"] = (y * 2.0).requires_grad
attempt("switched_on", lambda: y.requires_grad_(True))
attempt("backward", lambda: (y * 2.0).sum().backward())
observed["result_gets_gradient"] = y.grad is not None
observed["x_gets_gradient"] = x.grad is not None
""",
    ),
    Probe(
        id="scope",
        question="Does it reach x, another tensor, a leaf made inside, and a thread started inside?",
        source=NOTES + "#locally-disabling-gradient-computation",
        work="inside({x})",
        code="import threading\n\n"
        + START
        + """\
w = torch.ones(3, requires_grad=True)

def other_thread():
    observed["other_in_thread"] = (w * 2.0).requires_grad

def inside(given):
    observed["given"] = (given * 2.0).requires_grad
    observed["x"] = (x * 2.0).requires_grad
    observed["other"] = (w * 2.0).requires_grad
    leaf = torch.ones(3, requires_grad=True)
    observed["leaf_made_inside_requires_grad"] = leaf.requires_grad
    observed["leaf_made_inside"] = (leaf * 2.0).requires_grad
    thread = threading.Thread(target=other_thread)
    thread.start()
    thread.join()
    return given

VARIANT
observed["result"] = (y * 2.0).requires_grad
observed["other_after"] = (w * 2.0).requires_grad
""",
    ),
    Probe(
        id="memory",
        question="How many bytes does the control alone allocate for 1,000,000 elements of float32?",
        source="https://docs.pytorch.org/docs/stable/tensor_view.html",
        work="{x}",
        code=PROFILE
        + """
# What a first execution sets up belongs to no method.
for _ in range(3):
    x, y = torch.ones(1_000_000, requires_grad=True), None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        VARIANT
    sizes = held(profiler)
observed["allocated"] = sum(size for size in sizes if size > 0)
observed["kept"] = sum(sizes)
""",
    ),
    Probe(
        id="graph",
        question="How many bytes does autograd keep beside the result of exp and sin on 1,000,000 elements?",
        source=NOTES + "#saved-tensors",
        work="{x}.exp().sin()",
        code=PROFILE
        + """
# What a first execution sets up belongs to no method.
for _ in range(3):
    x, y = torch.ones(1_000_000, requires_grad=True), None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        VARIANT
    sizes = held(profiler)
observed["result"] = y.untyped_storage().nbytes()
observed["kept"] = sum(sizes) - observed["result"]
""",
    ),
    Probe(
        id="objects",
        question="Which Python objects of torch's types does it add: inside, and afterwards with y held?",
        source="https://docs.python.org/3/library/gc.html#gc.get_objects",
        work="inside({x})",
        code="import gc\nfrom collections import Counter\n\n"
        + START
        + """\
y = None

def alive():
    return Counter(map(type, gc.get_objects()))

def named(added):
    of_torch = {each: count for each, count in added.items() if str(each.__module__).startswith("torch")}
    return ", ".join(sorted(f"{count} {each.__name__}" for each, count in of_torch.items()))

def inside(given):
    observed["inside"] = named(alive() - before)
    return given

gc.collect()
before = alive()
VARIANT
observed["afterwards"] = named(alive() - before)
observed["result_is_x"] = y is x
""",
    ),
    Probe(
        id="write",
        question="Does what it hands on share the storage of x, and does autograd notice a write through it?",
        source="https://github.com/pytorch/pytorch/issues/6990",
        work="{x}",
        code=START
        + ATTEMPT
        + """
recorded = x.sin().sum()  # its backward needs the values of x
VARIANT
version = x._version
observed["shares_storage"] = y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
with torch.no_grad():
    y.fill_(2.0)
observed["seen_in_x"] = bool((x == 2.0).all())
observed["version_counted"] = x._version > version
attempt("backward", recorded.backward)
observed["gradient"] = None if x.grad is None else float(x.grad[0])
observed["wrong_gradient"] = x.grad is not None and not torch.allclose(x.grad, torch.ones(3).cos())
""",
    ),
    Probe(
        id="result",
        question="What can be done afterwards with a tensor that was computed under it?",
        source=TORCH + "autograd.grad_mode.inference_mode.html",
        work="{x} * 2.0",
        code=START
        + ATTEMPT
        + """
w = torch.ones(3, requires_grad=True)
VARIANT
observed["history"] = y.grad_fn is not None
observed["inference"] = y.is_inference()
attempt("saved_for_backward", lambda: (w * y).sum().backward())
attempt("version_counter", lambda: y._version)
attempt("viewed", lambda: y.view(-1))
attempt("written", lambda: y.add_(1.0))
attempt("tracked_again", lambda: y.requires_grad_(True))
attempt("clone_tracked", lambda: y.clone().requires_grad_(True))
""",
    ),
    Probe(
        id="view",
        question="Does a view of x made under it pass gradients to x afterwards, and can it be written to?",
        source=TORCH + "autograd.grad_mode.inference_mode.html",
        work="{x}.view(-1)",
        code=START
        + ATTEMPT
        + """
VARIANT
observed["requires_grad"] = y.requires_grad
observed["history"] = y.grad_fn is not None
attempt("backward", lambda: (y * 2.0).sum().backward())
observed["x_gets_gradient"] = x.grad is not None
attempt("written", lambda: y.fill_(2.0))
observed["seen_in_x"] = bool((x == 2.0).all())
""",
    ),
    Probe(
        id="earlier",
        question="Does it reach what was recorded on x before?",
        source=NOTES,
        work="inside({x})",
        code=START
        + ATTEMPT
        + """
recorded = (x * 2.0).sum()

def inside(given):
    attempt("backward_inside", lambda: recorded.backward(retain_graph=True))
    observed["gradient_inside"] = x.grad is not None
    x.grad = None
    return given

VARIANT
attempt("backward_after", recorded.backward)
observed["gradient_after"] = x.grad is not None
""",
    ),
    Probe(
        id="on_result",
        question="Can it be used on a result that was recorded, and does its origin still get gradients?",
        source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.requires_grad_.html",
        work="{x}",
        code=BEGIN
        + """\
origin = torch.ones(3, requires_grad=True)
x = origin * 1.0
"""
        + ATTEMPT
        + """
def control():
    VARIANT

attempt("accepted", control)
observed["x_still_tracked"] = x.requires_grad
attempt("backward", lambda: (x * 2.0).sum().backward())
observed["origin_gets_gradient"] = origin.grad is not None
""",
    ),
)
