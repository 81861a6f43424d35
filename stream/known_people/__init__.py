"""People who are kept for all calls, at their own wish: close-ups and personal weights."""
