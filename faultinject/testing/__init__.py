"""The proxy inside a program of the user's, on a thread of its own; and the pytest plugin's parts.

`embedded.Proxy` is what the user sees, in pytest and elsewhere.
"""
