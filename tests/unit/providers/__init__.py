"""Tests of `faultinject.providers`."""
