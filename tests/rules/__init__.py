"""Tests of `faultinject.rules`."""
