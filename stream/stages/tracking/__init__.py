"""Tracking: finds faces and keeps their identities apart."""
