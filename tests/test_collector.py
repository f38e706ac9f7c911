"""What Python's collector is spared."""

import gc
import sys
from types import ModuleType

from gradbench.measure.collector import freeze_imported


def walked(held):
    return any(each is held for each in gc.get_objects())


def test_the_collector_is_spared_what_is_there_wherever_something_was_imported_since(monkeypatch):
    freeze_imported()
    held = []
    freeze_imported()
    assert walked(held)
    monkeypatch.setitem(sys.modules, "imported_later", ModuleType("imported_later"))
    freeze_imported()
    assert not walked(held)
    assert walked([])
