"""The building, keeping and finding of the kernels. What they compute is in test_functions.py."""

import ctypes
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gradbench.functions import native


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own, and nothing remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native.kernels.cache_clear()
    yield tmp_path / "gradbench"
    native.kernels.cache_clear()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with one build, made once."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        native.kernels.cache_clear()
        assert native.kernels() is not None
        native.kernels.cache_clear()
    return folder / "gradbench"


@pytest.fixture
def filled(built, cache):
    """The cache with that build in it, as another process has left it."""
    shutil.copytree(built, cache)


@pytest.fixture
def commands(monkeypatch):
    """The compilations that have run."""
    seen = []
    actual = subprocess.run

    def run(command, **options):
        seen.append(command)
        return actual(command, **options)

    monkeypatch.setattr(subprocess, "run", run)
    return seen


def again():
    """The kernels, as another process would come by them."""
    native.kernels.cache_clear()
    return native.kernels()


def kept(cache):
    return sorted(each.name for each in cache.iterdir())


def computes(kernels):
    """Whether the kernels give exp(sin(x²)) and its derivative, in both widths."""
    for width, real, tolerance in ((4, ctypes.c_float, 1e-6), (8, ctypes.c_double, 1e-14)):
        values = [0.5, -1.0, 2.0, 3.0, 300.0]
        x, y, g, d = ((real * 5)(*each) for each in (values, [0] * 5, [2] * 5, [0] * 5))
        kernels.value[width](*map(ctypes.addressof, (x, y)), 5, 1)
        kernels.gradient[width](*map(ctypes.addressof, (x, y, g, d)), 5, 1)
        for at, value in enumerate(values):
            expected = math.exp(math.sin(value**2))
            derivative = 2 * expected * math.cos(value**2) * 2 * value
            if not math.isclose(y[at], expected, rel_tol=tolerance):
                return False
            if not math.isclose(d[at], derivative, rel_tol=10 * tolerance):
                return False
    return True


def test_they_are_built_once_and_then_found(cache, commands):
    assert computes(native.kernels())
    assert native.kernels() is native.kernels()
    built = len(commands)
    (name,) = kept(cache)
    assert computes(again())
    assert (len(commands), kept(cache)) == (built, [name])


def test_without_a_compiler_there_are_none(monkeypatch, commands, cache):
    monkeypatch.setenv("PATH", "")
    assert native.kernels() is None
    assert (commands, cache.exists()) == ([], False)


def test_any_of_three_compilers_will_do(monkeypatch, tmp_path):
    actual = shutil.which("cc")
    monkeypatch.setattr(shutil, "which", lambda name: actual if name == "clang" else None)
    assert computes(native.kernels())


@pytest.mark.parametrize("script", ["exit 1", "echo error >&2; exit 1", "exit 0", "kill -9 $$"])
def test_a_compiler_that_fails_or_makes_nothing_is_silence(monkeypatch, cache, tmp_path, script, capfd):
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(compiler))
    assert native.kernels() is None
    assert not cache.exists()
    assert capfd.readouterr() == ("", "")


def test_a_compiler_without_openmp_or_the_processors_name_builds_without(monkeypatch, tmp_path):
    compiler = tmp_path / "cc"
    log = tmp_path / "log"
    compiler.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\n'
        'case "$*" in *-fopenmp*|*-march*) exit 1;; *-mcpu=native*) ;; *) exit 1;; esac\n'
        f'exec {shutil.which("cc")} $(echo "$@" | sed s/-mcpu=native/-march=native/)\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(compiler))
    assert computes(native.kernels())
    assert len(log.read_text().splitlines()) == 3


def test_a_processor_without_fused_multiply_add_has_none(monkeypatch):
    monkeypatch.setattr(native, "_ATTEMPTS", (("-U__FMA__", "-U__aarch64__"),))
    assert native.kernels() is None


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="cut off"),
        pytest.param(lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]), id="one bit"),
        pytest.param(lambda whole: b"no library", id="something else"),
    ],
)
def test_a_spoilt_build_is_not_loaded_but_made_again(filled, cache, commands, spoil):
    assert computes(again())
    assert commands == []
    (name,) = kept(cache)
    whole = (cache / name).read_bytes()
    (cache / name).unlink()
    (cache / name).write_bytes(spoil(whole))
    assert computes(again())
    assert commands
    commands.clear()
    assert computes(again())
    assert commands == []


def test_a_build_of_that_name_which_is_no_library_is_passed_over(filled, cache, commands, tmp_path):
    (name,) = kept(cache)
    key = name.split("-")[1]
    other = tmp_path / "other"
    other.write_bytes(b"no library, and whole")
    shutil.copy(other, cache / native._name(key, other))
    (cache / name).unlink()
    assert computes(again())
    assert commands


@pytest.mark.parametrize("changed", ["source", "flags", "processor", "compiler"])
def test_a_build_from_or_for_something_else_is_not_used(
    filled, cache, commands, changed, monkeypatch, tmp_path
):
    assert len(kept(cache)) == 1
    if changed == "source":
        source = tmp_path / "native.c"
        source.write_text(native._SOURCE.read_text() + "\n")
        monkeypatch.setattr(native, "_SOURCE", source)
    elif changed == "flags":
        monkeypatch.setattr(native, "_FLAGS", (*native._FLAGS, "-Wall"))
    elif changed == "processor":
        monkeypatch.setattr(native, "_processor", lambda: ["another"])
    else:
        compiler = tmp_path / "cc"
        compiler.write_text(f'#!/bin/sh\nexec {shutil.which("cc")} "$@"\n')
        compiler.chmod(0o755)
        monkeypatch.setattr(shutil, "which", lambda name: str(compiler))
    assert computes(again())
    assert commands
    assert len({name.split("-")[1] for name in kept(cache)}) == 2


def test_a_cache_that_cannot_be_written_costs_a_build_and_no_error(tmp_path, monkeypatch, commands):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert computes(native.kernels())
    commands.clear()
    assert computes(again())
    assert commands


def test_processes_that_build_at_once_all_have_kernels(cache):
    # By itself, without torch, which would take its time to import in each.
    source = "import native; import sys; sys.exit(native.kernels() is None)"
    folder = str(Path(native.__file__).parent)
    processes = [
        subprocess.Popen([sys.executable, "-c", source], env={**os.environ, "PYTHONPATH": folder})
        for _ in range(3)
    ]
    assert [process.wait() for process in processes] == [0] * 3
    assert computes(again())
    # Nothing half made is left.
    assert all(name.startswith("native-") and name.endswith(".so") for name in kept(cache))
    assert all(native._name(name.split("-")[1], cache / name) == name for name in kept(cache))


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    assert native._folder() == tmp_path / "gradbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert native._folder() == Path(tmp_path, "home", ".cache", "gradbench")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert native._folder() == Path(tmp_path, "home", "Library", "Caches", "gradbench")


def test_the_process_keeps_its_subnormal_numbers():
    # What -ffast-math would link switches them off for the whole process.
    source = "import native; assert native.kernels(); assert 2.0**-1022 / 2 > 0"
    environment = {**os.environ, "PYTHONPATH": str(Path(native.__file__).parent)}
    assert subprocess.run([sys.executable, "-c", source], env=environment).returncode == 0
