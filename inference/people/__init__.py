"""The second station: from frames to one track per person."""
