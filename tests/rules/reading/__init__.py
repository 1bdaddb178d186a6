"""Tests of `faultinject.rules.reading`."""
