"""Framing: the virtual camera."""
