"""Scenes with known truth: synthetic people, their trajectories, and the calls they make."""
