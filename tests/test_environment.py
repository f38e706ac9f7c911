"""What tells one machine from another."""

from pathlib import Path

import pytest

from gradbench.measure import environment


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        (
            "processor : 0\ncpu family : 25\nmodel : 17\nmodel name : AMD EPYC\nstepping : 1\n\n"
            "processor : 1\nmodel : 99\n",
            "AMD EPYC (cpu family 25, model 17, stepping 1)",
        ),
        ("processor : 0\nmodel name : Another\n", "Another"),
    ],
)
def test_a_processor_has_the_numbers_that_tell_it_from_others_of_its_name(monkeypatch, cpuinfo, name):
    monkeypatch.setattr(Path, "read_text", lambda self, *rest: cpuinfo)
    assert environment._processor() == name


def test_a_processor_without_such_a_file_is_what_the_system_calls_it(monkeypatch):
    def missing(self, *rest):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(environment.platform, "processor", lambda: "arm")
    assert environment._processor() == "arm"
