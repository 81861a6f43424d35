"""Metrics of a run, and the ways in which they are shown."""
