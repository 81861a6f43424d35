"""The network learns one person, from close-ups of the same recording or call."""
