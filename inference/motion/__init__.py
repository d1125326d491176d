"""From a track to an animation: everything here needs NumPy only."""
