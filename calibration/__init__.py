"""Calibration: this machine, this camera and the numbers, measured instead of guessed."""
