"""A small fake API, and in `faultinject.cli.demo` the demonstration that is played on it.

The fake API is below the proxy, which asks it with ``--fake-upstream``; the show is above.
"""
