"""Tests of engines/personal."""
