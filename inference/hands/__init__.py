"""Seeing hands and moving fingers."""
