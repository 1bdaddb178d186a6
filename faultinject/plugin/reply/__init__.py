"""Tunnels of hosts that give the answer to a chunk back to its sender."""
