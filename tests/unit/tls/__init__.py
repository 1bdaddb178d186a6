"""Tests of `faultinject.tls`."""
