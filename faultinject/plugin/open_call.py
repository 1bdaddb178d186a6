"""A call of the host that waits for its reply. Knows nothing of when there is one."""

from __future__ import annotations

import trio

from faultinject.plugin.calls import Replace, Reply


class OpenCall:
    """The call, and once it is given its reply."""

    def __init__(self) -> None:
        self._reply: Reply = Replace()
        self._answered = trio.Event()

    @property
    def given(self) -> Reply | None:
        """The reply, once there is one."""
        return self._reply if self._answered.is_set() else None

    def answer(self, reply: Reply) -> None:
        """Give the reply."""
        self._reply = reply
        self._answered.set()

    async def reply(self) -> Reply:
        """Wait for the reply."""
        await self._answered.wait()
        return self._reply
