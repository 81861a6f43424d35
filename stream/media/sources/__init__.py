"""Sources: cameras and recordings."""
