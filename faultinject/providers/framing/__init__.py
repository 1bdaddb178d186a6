"""Codecs between a stream's bytes and its events. They keep the exact bytes, and do no I/O.

There is one module for each wire format.
"""

from faultinject.providers.framing.decoder import Decoder, Framing, StreamEvent, Tail

__all__ = ["Decoder", "Framing", "StreamEvent", "Tail"]
