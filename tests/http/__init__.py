"""Tests of `faultinject.http`."""
