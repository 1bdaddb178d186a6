"""Reads and checks values that people wrote: options in a file, and rules.

A value comes with its place, and a mistake in it is an error of one line: where, what, and what
would be right.
"""
