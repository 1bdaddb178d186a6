"""What can happen to an exchange, one module a fault; without I/O.

Knows nothing of sockets, Trio, and which request it happens to.
"""
