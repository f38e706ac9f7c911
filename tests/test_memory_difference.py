"""What differs between the memory of a variant in two places."""

import msgspec
import pytest

from gradbench.analyse.memory_difference import (
    COUNT,
    EXACT,
    MemoryDifference,
    in_words,
    larger,
    memory_differences,
    smaller,
    summed_up,
)
from gradbench.record.visits import Memory

BEFORE = Memory("c", "variant", 800, 2, 800, 400, 0, 400, 4096, "by hand", left=0)


@pytest.mark.parametrize("figure", EXACT)
def test_every_exact_figure_is_compared_to_the_byte(figure):
    after = msgspec.structs.replace(BEFORE, **{figure: getattr(BEFORE, figure) + 64})
    (found,) = memory_differences(BEFORE, after)
    assert found == MemoryDifference(figure, getattr(BEFORE, figure), getattr(BEFORE, figure) + 64)
    assert larger([found]) == smaller(memory_differences(after, BEFORE)) == (figure != COUNT)
    assert not larger(memory_differences(after, BEFORE))
    assert not smaller([found])


def test_the_resident_set_is_noise_and_not_compared():
    assert memory_differences(BEFORE, msgspec.structs.replace(BEFORE, resident=10**9)) == ()


def test_what_is_not_known_is_no_growth_and_is_not_the_same():
    assert memory_differences(None, BEFORE) is memory_differences(BEFORE, None) is None
    assert in_words(None) == "–"
    assert not larger(None)


def test_growths_are_told_in_bytes_and_in_numbers_of_allocations():
    after = msgspec.structs.replace(BEFORE, saved=464, allocations=3)
    assert in_words(memory_differences(BEFORE, after)) == "2 to 3 allocations, saved 400 B to 464 B"
    assert in_words(()) == "the same"


def test_memory_is_summed_up_over_the_variants_of_which_it_is_known():
    memory = memory_differences(BEFORE, msgspec.structs.replace(BEFORE, saved=464))
    assert summed_up([(), ()]) == "memory is the same to the byte in 2 variants"
    assert (
        summed_up([memory, (), None])
        == "memory is more in 1 and less in 0 of 2 variants, and not known for 1 more"
    )
    assert summed_up([None]) == "memory is not known"


def test_the_same_bytes_in_more_pieces_are_told_and_are_neither_more_nor_less():
    pieces = memory_differences(BEFORE, msgspec.structs.replace(BEFORE, allocations=3))
    assert not larger(pieces)
    assert not smaller(pieces)
    assert summed_up([pieces, ()]) == (
        "memory is the same to the byte in 2 variants; the number of allocations differs in 1"
    )
    mixed = memory_differences(BEFORE, msgspec.structs.replace(BEFORE, allocations=1, saved=336, peak=864))
    assert larger(mixed)
    assert not smaller(mixed)
