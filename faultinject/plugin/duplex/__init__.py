"""Tunnels of Fault, which sends the answer to a chunk on in the direction of the chunk."""
