"""Tests of `faultinject.providers.framing`."""
