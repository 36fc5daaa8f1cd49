"""The registry: suggestions, duplicates, lazy loading."""

import mmap
import sys

import pytest

from stylebench.errors import InputError, suggestion
from stylebench.registry import Registry
from stylebench.runtime import PeakMemory, resolve_device


def test_look_up_and_suggest() -> None:
    registry: Registry[int] = Registry("number")
    registry.add("one", 1)
    registry.add("two", 2)
    assert registry["one"] == 1
    assert list(registry) == ["one", "two"]
    assert "three" not in registry
    with pytest.raises(
        InputError, match=r"unknown number 'onne'; did you mean 'one'\? \(known: one, two\)"
    ):
        registry["onne"]


def test_duplicates_raise() -> None:
    registry: Registry[int] = Registry("number")
    registry.add("one", 1)
    with pytest.raises(ValueError, match="number 'one' is registered twice"):
        registry.add("one", 1)


def test_lazy_module_is_imported_at_the_first_look_up() -> None:
    sys.modules.pop("this", None)
    registry: Registry[int] = Registry("number", module="this")
    assert "this" not in sys.modules
    assert list(registry) == []
    assert "this" in sys.modules


def test_suggestion_of_nothing_near() -> None:
    assert suggestion("zzz", ["abc"]) == ""


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", "", "mps:1"])
def test_unknown_devices_are_told(name: str) -> None:
    with pytest.raises(InputError, match="--device"):
        resolve_device(name)


def test_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda", "mps")


def test_peak_memory_sees_an_allocation() -> None:
    memory = PeakMemory("cpu")
    before = memory.read()
    with mmap.mmap(-1, 200_000_000) as block:  # pages that the process does not have yet
        for place in range(0, len(block), 4096):
            block[place] = 1
    assert memory.read() - before > 150
