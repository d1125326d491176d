"""Rendered people of known motion, seen through the very detector that the product uses."""
