"""What a program's environment is to be, so that its clients use the proxy and trust it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

_PROXY = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
_BUNDLE = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
_WITHOUT_PROXY = "localhost,127.0.0.1,::1"


def changes(user: Mapping[str, str], url: str, certificate: Path, folder: Path) -> dict[str, str]:
    """Return the variables to set. A bundle of the system's roots and ours is made in a folder."""
    roots = user.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    bundle = folder / "bundle.pem"
    theirs = Path(roots).read_bytes() if roots else b""
    bundle.write_bytes(theirs + b"\n" + certificate.read_bytes())
    return {
        **dict.fromkeys(_PROXY, url),
        **dict.fromkeys(_BUNDLE, str(bundle)),
        "NODE_EXTRA_CA_CERTS": str(certificate),
        "NODE_USE_ENV_PROXY": "1",
        "NO_PROXY": _WITHOUT_PROXY,
        "no_proxy": _WITHOUT_PROXY,
    }
