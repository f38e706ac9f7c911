"""The words for observations of probes. Rules read the values alone; no rule knows the name of a method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from gradbench.record.observation import Observation, Value


@dataclass(frozen=True)
class Rule:
    """Words for an observation, used where it has every value of `when`."""

    words: str
    when: Mapping[str, Value]


def _rules(names: str, *rows: tuple[str, str]) -> tuple[Rule, ...]:
    """Rules over the same names; a row is the words and, by name, a `+` for true or a `-` for false."""
    keys = names.split()
    return tuple(
        Rule(words, {key: sign == "+" for key, sign in zip(keys, signs.split(), strict=True)})
        for words, signs in rows
    )


RULES: dict[str, tuple[Rule, ...]] = {
    "persistence": _rules(
        "given_inside x_inside x_after result_after x_under_enable_grad result_under_enable_grad",
        ("nothing is switched off", "+ + + + + +"),
        ("until changed", "- - - - - -"),
        ("until grad mode is switched back", "- - - - + +"),
        ("until the block is left", "- - + + + +"),
        ("as long as the new tensor lives", "- + + - + -"),
        ("as long as the new tensor lives; the work before it is recorded", "+ + + - + -"),
    ),
    "reversibility": _rules(
        "given_inside given_under_enable_grad x_by_itself result_by_itself switched_on backward "
        "result_gets_gradient x_gets_gradient",
        ("nothing to reverse", "+ + + + + + + +"),
        ("by requires_grad_(True) on the same tensor", "- - - - + + + +"),
        ("by itself; inside by enable_grad()", "- + + + + + + +"),
        ("by itself; not inside by enable_grad()", "- - + + + + + +"),
        ("x was never cut off; the new tensor only as a leaf of its own", "- - + - + + + -"),
        ("x was never cut off; the result only as a leaf of its own", "+ + + - + + + -"),
    ),
    "scope": _rules(
        "given x other leaf_made_inside other_in_thread result other_after",
        ("nothing", "+ + + + + + +"),
        ("this tensor", "- - + + + - +"),
        ("the new tensor", "- + + + + - +"),
        ("the new tensor, made of the result", "+ + + + + - +"),
        ("all operations inside, in this thread", "- - - - + + +"),
        ("all operations inside, in threads started there too", "- - - - - + +"),
    ),
    "write": _rules(
        "shares_storage seen_in_x version_counted backward wrong_gradient",
        ("shows in x; backward refuses", "+ + + - -"),
        ("shows in x, unnoticed: wrong gradient", "+ + - + +"),
        ("does not reach x", "- - - + -"),
    ),
    "result": _rules(
        "history inference saved_for_backward version_counter viewed written tracked_again clone_tracked",
        ("with history", "+ - + + + + + +"),
        ("ordinary, without history", "- - + + + + + +"),
        ("inference tensor: no backward, no write, no tracking; its clone can be tracked", "- + - - + - - +"),
    ),
    "view": _rules(
        "requires_grad history backward x_gets_gradient written seen_in_x",
        ("gradient reaches x; refuses a write", "+ + + + - -"),
        ("requires_grad, but no gradient reaches x; refuses a write", "+ - + - - -"),
        ("not tracked; a write shows in x", "- - - - + +"),
        ("not tracked; a write does not reach x", "- - - - + -"),
    ),
    "earlier": _rules(
        "backward_inside gradient_inside backward_after gradient_after",
        ("untouched", "+ + + +"),
        ("x gets no gradient from it", "+ - + -"),
        ("no backward inside", "- - + +"),
    ),
    "on_result": _rules(
        "accepted x_still_tracked backward origin_gets_gradient",
        ("accepted; its origin keeps its gradient", "+ + + +"),
        ("refused", "- + + +"),
    ),
}


def words(trait: str, observed: Mapping[str, Value]) -> str:
    """The words of the first rule that fits; `other:` and all values where no rule fits.

    Raises KeyError for a trait without words: probes of no method show their values as they are.
    """
    if trait in _COUNTED:
        found = _COUNTED[trait](observed)
    else:
        fits = (
            r.words for r in RULES[trait] if all(observed.get(key) is value for key, value in r.when.items())
        )
        found = next(fits, None)
    return found or "other: " + ", ".join(f"{key}={value}" for key, value in observed.items())


def _bytes(name: str) -> Callable[[Mapping[str, Value]], str | None]:
    def count(observed: Mapping[str, Value]) -> str | None:
        counted = observed.get(name)
        if not isinstance(counted, int):
            return None
        return f"{counted:,} B" if counted else "none"

    return count


def _objects(observed: Mapping[str, Value]) -> str | None:
    inside, kept = observed.get("inside"), observed.get("afterwards")
    if not (isinstance(inside, str) and isinstance(kept, str)):
        return None
    return (inside or "none") if inside == kept else f"inside: {inside or 'none'}; kept: {kept or 'none'}"


_COUNTED = {"memory": _bytes("allocated"), "graph": _bytes("kept"), "objects": _objects}


class Characteristics(msgspec.Struct, frozen=True):
    """One method's row, in words; None where no probe observed the trait.

    Attributes:
        method: name of the method.
        persistence: how long it holds.
        memory: new storage of the control alone, in bytes, at 1,000,000 elements of float32.
        graph: bytes that autograd keeps besides the result of two operations on as many elements.
        reversibility: how tracking comes back.
        scope: the operations that are no longer recorded.
        objects: Python objects of torch's types that it adds.
        write: the effect of a write through the tensor that it returns.
        result: the uses of a tensor computed under it.
        view: the later effect of a write through a view made under it.
        earlier: the fate of a graph recorded before.
        on_result: whether it accepts a tensor that is no leaf.
    """

    method: str
    persistence: str | None = None
    memory: str | None = None
    graph: str | None = None
    reversibility: str | None = None
    scope: str | None = None
    objects: str | None = None
    write: str | None = None
    result: str | None = None
    view: str | None = None
    earlier: str | None = None
    on_result: str | None = None


def characteristics(observations: Iterable[Observation]) -> list[Characteristics]:
    """A row for each method that was observed, in the order of the observations."""
    rows: dict[str, dict[str, str]] = {}
    for each in observations:
        if each.method and each.trait in Characteristics.__struct_fields__:
            cell = f"failed: {each.error}" if each.error else words(each.trait, each.observed)
            rows.setdefault(each.method, {})[each.trait] = cell
    return [Characteristics(method, **row) for method, row in rows.items()]


# Titles of the tables, and for each table its traits with the heads of their columns.
TABLES = (
    (
        "How long, how far, and back",
        (("persistence", "persistence"), ("scope", "scope"), ("reversibility", "reversibility")),
    ),
    (
        "Memory and objects",
        (
            ("memory", "new storage, at 1,000,000 elements"),
            ("graph", "kept by the graph"),
            ("objects", "additional objects"),
            ("write", "a write through it"),
        ),
    ),
    (
        "Tensors made before and under it",
        (
            ("result", "a result computed under it"),
            ("view", "a view made under it"),
            ("earlier", "a graph made before"),
            ("on_result", "used on a result that was recorded"),
        ),
    ),
)


# The words for probes of no method: by trait and name.
OBSERVED = {
    "zero_grad": {
        "after_one_backward": "the gradient after one backward",
        "after_two": "after two",
        "none_after_zero_grad": "zero_grad() leaves none",
        "after_zero_grad_and_one": "after it and one more backward",
    },
    "retain_graph": {
        "kept_without": "kept after a backward without it",
        "second_without": "a second backward without it works",
        "kept_with": "kept after a backward with it",
        "second_with": "a second backward with it works",
    },
    "freeze": {
        "frozen_gets_gradient": "the frozen layer gets a gradient",
        "frozen_changed": "a step changes it",
        "layer_before_gets_gradient": "the layer before it gets a gradient",
        "layer_before_changed": "a step changes that one",
        "unfrozen_gets_gradient": "unfrozen, the layer gets a gradient again",
        "recorded_under_no_grad": "left out by no_grad() instead, its result has a graph",
    },
    "target": {
        "same_value_detached": "detach() keeps the value",
        "same_value_no_grad": "no_grad() keeps the value",
        "gradient_tracked": "the teacher gets a gradient through a recorded target",
        "gradient_detached": "through one by detach()",
        "gradient_no_grad": "through one under no_grad()",
    },
    "inference": {
        "dropout_still_drops": "under no_grad() alone dropout still drops",
        "eval_alone_builds_a_graph": "eval() alone builds a graph",
        "no_grad_builds_a_graph": "no_grad() builds a graph",
        "same_predictions": "the predictions are the same",
    },
    "components": {
        "leaf_grad_fn": "a leaf has a grad_fn",
        "result_requires_grad": "a result requires grad",
        "result_grad_fn": "the grad_fn of x * y",
        "gradient_of_x_is_y": "the gradient of x is y",
        "gradient_of_y_is_x": "that of y is x",
    },
    "square": {"at_2": "at 2", "at_3": "at 3"},
    "sin_square": {"gradient": "by backward()", "by_formula": "by the formula", "agree": "they agree"},
    "exp_sin_square": {"gradient": "by backward()", "by_formula": "by the formula", "agree": "they agree"},
    "predictors": {
        "weight": "weight",
        "bias": "bias",
        "loss": "loss",
        "largest_difference": "the largest difference of another from these",
    },
    "training": {
        "first_loss": "the loss before",
        "last_loss": "after",
        "at_7_5": "the probability at 7.5",
        "at_5": "at 5.0",
    },
    "clamped_loss": {
        "exact": "the answer at a logit of 20, for a sample of the other class",
        "from_logits": "from logits",
        "clamped": "clamped",
        "gradient": "its gradient",
        "clamped_is_finite": "both are finite",
    },
    "as_written": {
        "as_written": "as written",
        "gradient_with_the_base_of_torch": "with torch's Function as its base, the gradient of x² at 2",
    },
}


@dataclass(frozen=True)
class Answer:
    """A question about no method, and the observations, or the reason why there are none."""

    question: str
    observed: tuple[str, ...]


def answers(observations: Iterable[Observation]) -> list[Answer]:
    """The observations of the probes of no method, in their order."""
    return [
        Answer(each.question, (each.error,) if each.error else tuple(observed_in_words(each)))
        for each in observations
        if not each.method
    ]


_IN_BYTES = ("kept_without", "kept_with")


def observed_in_words(observation: Observation) -> list[str]:
    """The observations of a probe of no method, in words; a name of another version has none and stays."""
    known = OBSERVED.get(observation.trait, {})
    observed = observation.observed
    lines = []
    for name, value in observed.items():
        # The reason of a failed attempt follows the word for the failure.
        if name.endswith("_says") and name.removesuffix("_says") in observed:
            continue
        why = observed.get(f"{name}_says")
        words = known.get(name, name.replace("_", " "))
        lines.append(f"{words}: {_value(value, name)}" + (f" ({why})" if why else ""))
    return lines


def _value(value: Value, name: str) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in _IN_BYTES and isinstance(value, int):
        return f"{value:,} B"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
