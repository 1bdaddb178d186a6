"""HTTP/1.1 over a Trio stream: messages as values, and connections that carry them."""
