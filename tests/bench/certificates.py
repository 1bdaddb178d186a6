"""The certificates of a run: an authority for the origin, and one that proxy.py is given.

The other proxies make their own authority, as for their users.
"""

from __future__ import annotations

from pathlib import Path

import trustme
from attrs import frozen


@frozen
class Pair:
    """A certificate (with its chain) and its private key, as PEM files."""

    certificate: Path
    key: Path


@frozen
class Certificates:
    """Everything as files in one directory."""

    origin: Pair
    origin_ca: Path
    """What proxies verify the origin with."""
    peer_ca: Pair
    peer_leaf_key: Path
    """The key of all leaves that proxy.py mints."""


def make_certificates(directory: Path) -> Certificates:
    """Write all certificates of a run into ``directory``. All keys are EC P-256."""
    origin_ca, peer_ca = trustme.CA(), trustme.CA()
    leaf = origin_ca.issue_cert("localhost", "127.0.0.1")
    origin = Pair(directory / "origin.crt", directory / "origin.key")
    leaf.private_key_pem.write_to_path(origin.key)
    for index, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(origin.certificate, append=index > 0)
    peer = Pair(directory / "peer-ca.crt", directory / "peer-ca.key")
    peer_ca.cert_pem.write_to_path(peer.certificate)
    peer_ca.private_key_pem.write_to_path(peer.key)
    certificates = Certificates(
        origin, directory / "origin-ca.crt", peer, directory / "peer-leaf.key"
    )
    origin_ca.cert_pem.write_to_path(certificates.origin_ca)
    peer_ca.issue_cert("localhost").private_key_pem.write_to_path(certificates.peer_leaf_key)
    return certificates
