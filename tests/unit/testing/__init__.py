"""The proxy on a thread, and the pytest plugin."""
