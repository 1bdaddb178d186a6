"""Tunnels of Fault, which sends the answer to a chunk on in the chunk's direction."""
