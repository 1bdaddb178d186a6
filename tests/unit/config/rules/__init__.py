"""Tests of `faultinject.config.rules`."""
