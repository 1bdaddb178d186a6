"""Tests of `faultinject.framing`."""
