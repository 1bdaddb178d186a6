"""Reports events to people and programs: lines while they happen, a summary at the end."""

from faultinject.report.summary import Summary
from faultinject.report.writer import EventOutput, wants_color

__all__ = ["EventOutput", "Summary", "wants_color"]
