"""Camera calibration: blur, noise, rhythm and exposure of a camera, as a profile."""
