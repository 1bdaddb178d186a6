"""TLS towards clients: the certificate authority, leaves for hosts, and the ClientHello."""
