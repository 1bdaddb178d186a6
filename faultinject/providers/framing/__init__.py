"""Codecs without I/O between a stream's bytes and its events; the exact bytes are kept.

One module a wire format.
"""

from faultinject.providers.framing.decoder import Decoder, Framing, StreamEvent, Tail

__all__ = ["Decoder", "Framing", "StreamEvent", "Tail"]
