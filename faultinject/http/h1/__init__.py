"""HTTP/1.1 over a stream; h11 judges what is not plain."""
