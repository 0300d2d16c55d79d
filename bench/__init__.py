"""Measurements, and what they gave: `nox -s bench` runs `bench.record`."""
