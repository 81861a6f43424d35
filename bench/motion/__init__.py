"""Motions of people before the virtual camera: scripted, recorded and random."""
