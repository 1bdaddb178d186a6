"""Tests of `faultinject.faults`."""
