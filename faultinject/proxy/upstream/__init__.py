"""Upstream connections: dialled, kept in a pool, leased to exchanges; and a fake API instead."""
