"""How each API words its failures: data and small functions, one module an API.

Knows nothing of rules and streams.
"""
