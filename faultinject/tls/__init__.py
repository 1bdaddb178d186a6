"""TLS towards clients: the certificate authority, leaves for hosts, and the ClientHello.

Knows nothing of HTTP, and does no network I/O.
"""
