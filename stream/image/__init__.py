"""Geometry of pictures: resampling, headshots, detections."""
