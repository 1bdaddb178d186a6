"""Streams and sockets below TLS: send, receive, half-close, reset, relay, time out, accept."""
