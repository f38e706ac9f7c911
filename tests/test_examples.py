"""The notebooks run from first to last cell, hold no results and state none."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from run_notebook import code_cells, run_cell

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def run_python(*arguments, cwd):
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=180,
        cwd=cwd,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_notebook_runs_and_shows_tables(tmp_path):
    """In one interpreter, since to import torch and matplotlib takes longer than to run a notebook."""
    shown = run_python(ROOT / "tests" / "run_notebook.py", *NOTEBOOKS, cwd=tmp_path)
    for path in NOTEBOOKS:
        own, _, shown = shown.partition(f"shown by {path.stem}\n")
        assert "<table" in own, path
    assert shown == ""
    # They keep to themselves: nothing is written beside them, nothing downloaded.
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_results_and_states_none(path):
    data = json.loads(path.read_text())
    assert data["nbformat"] == 4
    assert len({cell["id"] for cell in data["cells"]}) == len(data["cells"])
    for cell in data["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
        else:
            assert not re.search(r"\d\s*(%|µs|ms|ns|s|B|kB|MB|bytes|times)\b", "".join(cell["source"]))


def test_a_heading_that_the_code_cites_is_there():
    text = (ROOT / "METHODOLOGY.md").read_text()
    cited = {
        each
        for path in (ROOT / "gradbench").rglob("*.py")
        for each in re.findall(r'METHODOLOGY\.md, "([^"]+)"', path.read_text())
    }
    assert cited
    assert [each for each in cited if f"## {each}\n" not in text and f"**{each}.**" not in text] == []


def test_there_is_a_notebook_to_run():
    """Without one the tests above would pass for want of any."""
    assert NOTEBOOKS


@pytest.mark.parametrize("package", ["timm", "torchvision.models"])
def test_the_backbone_is_taken_from_a_package_where_there_is_one(package, monkeypatch):
    """A stand-in for the package, which is not installed here, notes what it was asked for."""
    asked = []

    def make(*arguments, **named):
        asked.append((arguments, named))
        made = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 7))
        made.fc = torch.nn.Identity()
        return made

    for name in ("timm", "torchvision", "torchvision.models"):
        stand_in = ModuleType(name)
        stand_in.create_model = stand_in.resnet18 = make
        found = package.startswith(name.partition(".")[0])
        monkeypatch.setitem(sys.modules, name, stand_in if found else None)
    names = {"__name__": "__main__"}
    path = ROOT / "examples" / "fine_tuning_a_frozen_backbone.ipynb"
    for code in code_cells(path)[:2]:
        run_cell(code, names, path.stem)
    assert names["source"] == package.partition(".")[0]
    assert names["features"] == 7
    # Random weights: nothing is fetched.
    ((_, named),) = asked
    assert named.get("pretrained", False) is False
    assert named.get("weights") is None
