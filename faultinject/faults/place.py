"""When a fault happens in the life of a request, and what a front door must be able to do for it.

Knows nothing of the faults themselves.
"""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    """When it must be decided whether a fault happens: the facts that there are grow with each."""

    CONNECT = "connect"
    """A client asks for a tunnel: the host is known."""
    HANDSHAKE = "handshake"
    """The client's ClientHello is there: the host is known."""
    REQUEST = "request"
    """A request's head is read and its body is not: all but what the body says is known."""
    ANSWER = "answer"
    """The request is in. Its body is known if a rule asks for it."""


class Ability(Enum):
    """What a fault asks of a front door; the value completes "it cannot …"."""

    CONNECT = "act on a CONNECT"
    HANDSHAKE = "act on a TLS handshake"
    REQUEST = "act before the request's body is read"
    RESET = "reset a connection"
    CLOSE = "close a connection without an answer"
    HANG = "leave a client without an answer"
    GARBAGE = "send what is not HTTP"
    ALERT = "send a TLS alert"
    ANSWERED = "ask upstream and lose the answer"
    CLOSE_AFTER = "close the connection after an answer"
    DELAY = "delay a request"
    DELAY_HEAD = "delay an answer's head"
    DELAY_BODY = "delay an answer's body"
    ANSWER = "change an answer as it passes"
    MADE_STREAM = "make a stream of its own"
