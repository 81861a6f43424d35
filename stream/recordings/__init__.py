"""Recordings: whole files through the stages, and what belongs to that alone."""
