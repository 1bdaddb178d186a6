"""Keeps large uploads going, by waking Fault's task where it would sleep for ever.

(`faultinject.plugin.duplex.lanes` explains the words that are used here.) When the upstream's
socket takes only a part of a reply, Fault waits for the rest without registering to be woken. Its
task runs again only when something else happens in that tunnel. There is one thing that a plugin
can make happen: to answer a held slot of the *other* lane with nothing. Fault then calls again at
once, and has polled everything meanwhile.

During an upload one slot toward the client is kept. Every turn toward the upstream must prove that
it was flushed (`Lane.proves`): its last byte has a slot of its own, whose call is the proof. If
there is no proof after a while, Fault is woken. This needs a timer, because nothing else tells a
stall from a slow link.

Downloads to a client that pauses have the same stall. But to wake Fault for those in the same way
would delay streams, so it is not done.
"""

from __future__ import annotations

import trio

from faultinject.plugin.duplex.lanes import Lane

FIRST_WAIT_SECONDS = 0.005
"""How long bytes may be unproven before Fault is first woken. A flush that is not stalled takes
less than a millisecond and a call."""
WAIT_FACTOR = 1.5
LONGEST_WAIT_SECONDS = 0.2
"""A slow upstream costs five calls a second at most."""


async def wake_while_unproven(upload: Lane, waking: Lane) -> None:
    """Wake Fault whenever the upload might be stalled, until cancelled.

    ``waking`` is the other lane. It must have a promised slot out, with no output for it. The slot
    is released at the end.
    """
    upload.proves = waking.keeps_slots = True
    try:
        while True:
            while not upload.unproven:
                await upload.slots_moved.park()
            await _wake_until_proven(upload, waking)
    finally:
        upload.proves = waking.keeps_slots = False
        waking.release()


async def _wake_until_proven(upload: Lane, waking: Lane) -> None:
    wait_seconds = FIRST_WAIT_SECONDS
    while True:
        with trio.move_on_after(wait_seconds):
            await _proof(upload)
            return
        waking.wake()
        wait_seconds = min(wait_seconds * WAIT_FACTOR, LONGEST_WAIT_SECONDS)


async def _proof(upload: Lane) -> None:
    while upload.unproven:
        await upload.slots_moved.park()
