"""Our own errors, as answers."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime

from faultinject.http.message import ResponseHead
from faultinject.proxy.local_reply import dated, local_reply


def test_an_own_response_is_marked_as_such() -> None:
    """Its body is JSON whatever the message holds, and its length is right."""
    response = local_reply(502, "dns", 'no "name" \u2603')
    headers = dict(response.headers)
    assert headers[b"X-Faultinject-Error"] == b"dns"
    assert headers[b"Content-Length"] == b"%d" % len(response.body)
    assert response.reason == b"Bad Gateway"
    error = json.loads(response.body)["error"]
    assert error == {"type": "faultinject_error", "kind": "dns", "message": 'no "name" \u2603'}


def test_it_is_sent_with_its_date() -> None:
    """Which is now."""
    head, *_ = dated(local_reply(503, "busy", "no room"))
    assert isinstance(head, ResponseHead)
    headers = dict(head.headers)
    assert parsedate_to_datetime(headers[b"Date"].decode()).year >= 2020
