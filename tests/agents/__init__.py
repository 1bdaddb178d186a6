"""Real coding agents in front of the proxy: `nox -s agents`. No tests for pytest are here."""
