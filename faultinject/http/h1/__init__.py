"""HTTP/1.1 over a stream. h11 handles all messages that are not plain."""
