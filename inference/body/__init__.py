"""The body model in SMPL's format, and rotations. NumPy only."""
