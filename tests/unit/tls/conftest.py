"""What the tests of TLS share: each way to put TLS on a stream."""

from __future__ import annotations

import pytest

from faultinject.tls.layer import WrapTls
from faultinject.tls.stream import TlsStream
from faultinject.tls.trio_tls import TrioTlsStream


@pytest.fixture(params=[TlsStream, TrioTlsStream])
def wrap_tls(request: pytest.FixtureRequest) -> WrapTls:
    """Each in turn: the one for sockets, and the one for streams in memory."""
    wrap: WrapTls = request.param
    return wrap
