"""What Anthropic's API calls its errors, and the plainest document of one.

Types: https://docs.anthropic.com/en/api/errors. Loads little, for every run needs it.
"""

from __future__ import annotations

import json

from faultinject.providers.phrases import standard_phrase

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_REASONS = {
    413: "Request Entity Too Large",  # the phrase until RFC 9110 renamed it
    # Not registered (it is the API's own). How it is phrased on the HTTP/1.1 wire is not
    # verified; clients get the words of the error's message.
    529: "Overloaded",
}


def reason_phrase(status: int) -> str:
    """Return the words that stand behind a status; "Error" for one that nobody registered."""
    return _REASONS.get(status) or standard_phrase(status)


def error_type(status: int) -> str:
    """Return the API's name for a status; the general one of its class for others."""
    fallback = "invalid_request_error" if 400 <= status < 500 else "api_error"
    return _ERROR_TYPES.get(status, fallback)


def error_body(status: int) -> bytes:
    """Return the error document of a status, compact as the API sends it.

    It says that it is simulated, as an answer does that nobody worded.
    """
    error = {"type": error_type(status), "message": f"Simulated error: {reason_phrase(status)}"}
    document = {"type": "error", "error": error}
    return json.dumps(document, separators=(",", ":")).encode()
