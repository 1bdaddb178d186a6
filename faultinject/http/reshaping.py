"""What must change in a head if the body behind it will not be what its sender announced.

Knows nothing of why.
"""

from __future__ import annotations

from attrs import evolve

from faultinject.http.message import Headers, RequestHead, ResponseHead, without_headers

_CHUNKED: Headers = ((b"Transfer-Encoding", b"chunked"),)


def reframed(head: ResponseHead) -> ResponseHead:
    """Return the head of a body whose length is not known: it comes in chunks.

    The answer of an HTTP/1.0 peer can have none (RFC 9112 section 6.1): it ends with the
    connection. Whether the one who gets the head can read chunks is for its sender to see to.
    """
    if not head.has_header(b"content-length"):
        return head
    headers = without_headers(head.headers, b"content-length")
    if not head.chunked and head.http_version >= b"1.1":
        headers += _CHUNKED
    return evolve(head, headers=headers)


def uncompressed(request: RequestHead) -> RequestHead:
    """Return the request without its wish for a compressed answer.

    Without the header an answer could have any coding (RFC 9110 section 12.5.3), and the values
    of several are one list: all get the same word.
    """
    return evolve(
        request,
        headers=tuple(
            (name, b"identity" if name.lower() == b"accept-encoding" else value)
            for name, value in request.headers
        ),
    )


def is_encoded(head: ResponseHead) -> bool:
    """Say whether the body is compressed, or otherwise encoded (RFC 9110 section 8.4)."""
    codings = [
        coding.strip().lower()
        for name, value in head.headers
        if name.lower() == b"content-encoding"
        for coding in value.split(b",")
    ]
    return any(coding not in (b"", b"identity") for coding in codings)
