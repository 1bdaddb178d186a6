"""The words that stand behind a status, as far as they are registered.

Knows nothing of any one API.
"""

from __future__ import annotations

from http import HTTPStatus

_RENAMED = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}  # by RFC 9110; `http` follows from Python 3.13 on


def standard_phrase(status: int) -> str:
    """Return the words registered for a status; "Error" for one that nobody registered."""
    if status in _RENAMED:
        return _RENAMED[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
