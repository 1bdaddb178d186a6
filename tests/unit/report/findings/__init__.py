"""Tests of what is said of the program's calls."""
