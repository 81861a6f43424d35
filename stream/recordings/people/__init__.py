"""Re-identification of the people in a recording."""
