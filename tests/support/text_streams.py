"""Streams that stop, break or fill up when a test says so."""

from __future__ import annotations

import io
import threading


class GatedStream(io.StringIO):
    """Blocks in every write until the gate is open; tells when a write has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.gate.wait()
        return super().write(text)


class FailingStream(io.StringIO):
    """Raises the given errors, one a write, then takes what comes."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.to_raise = list(errors)
        self.failed = threading.Event()

    def write(self, text: str) -> int:
        if self.to_raise:
            self.failed.set()
            raise self.to_raise.pop(0)
        return super().write(text)


class CountingStream(io.StringIO):
    """Counts writes and flushes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)
