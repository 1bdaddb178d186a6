"""Giving memory back."""

from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from typing import Any

import pytest

from faultinject.proxy.spare_memory import give_back


class Cycle:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.parametrize(
    ("glibc", "platform"), [(True, "linux"), (False, "linux"), (True, "win32")]
)
def test_what_is_done(monkeypatch, glibc, platform):
    """Cycles are collected, and glibc, where it is there, is asked for its free pages."""
    asked: list[int] = []

    class Library:
        def __init__(self, _name: Any) -> None:
            if glibc:
                self.malloc_trim = asked.append

    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setattr(sys, "platform", platform)
    gc.disable()
    try:
        gone = weakref.ref(Cycle())
        assert gone() is not None
        give_back()
        assert gone() is None
    finally:
        gc.enable()
    assert asked == ([0] if glibc and platform == "linux" else [])


def test_names_that_were_looked_up_are_let_go():
    """CPython keeps them to find what they name faster; each was made for one look."""
    name = "".join(["no such", " attribute"])
    before = sys.getrefcount(name)
    assert not hasattr(Cycle(), name)
    give_back()
    assert sys.getrefcount(name) == before


@pytest.mark.parametrize("by", ["_clear_internal_caches", "_clear_type_cache"])
def test_how_python_is_asked_for_that(monkeypatch, by):
    """By the newer name where there is one."""
    asked = []
    for name in ("_clear_internal_caches", "_clear_type_cache"):
        monkeypatch.delattr(sys, name, raising=False)
    monkeypatch.setattr(sys, by, lambda: asked.append(by), raising=False)
    give_back()
    assert asked == [by]


def test_it_runs_here():
    """Whatever the system."""
    give_back()
