"""Thresholds of the stages, chosen from labelled data."""
