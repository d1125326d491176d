"""Seeing faces, and what they do."""
