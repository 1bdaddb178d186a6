"""How defects of ours in a call are told.

Knows nothing of what is called.
"""

from __future__ import annotations

import time
import traceback

from faultinject.events import Listener, SessionFailed

NO_SESSION = 0
"""Stands for the session, where the call belongs to none or to one that is not known."""


def tell_defect(listener: Listener, where: str, error: Exception) -> None:
    """Tell of an exception that should not have been; ``where`` stands for the client."""
    listener(
        SessionFailed(
            time=time.time(),
            session=NO_SESSION,
            client=where,
            error=f"{type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error)),
        )
    )
