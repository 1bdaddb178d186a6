"""What a person or a program sees of the events: lines while they happen, a summary at the end.

Knows nothing of sockets, sessions, or where events come from.
"""

from faultinject.report.summary import Summary
from faultinject.report.writer import EventOutput, wants_color

__all__ = ["EventOutput", "Summary", "wants_color"]
