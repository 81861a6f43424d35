"""Exemplars: the bank of close, sharp headshots of each person."""
