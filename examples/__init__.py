"""Worked examples: a real task each, from data to device."""
