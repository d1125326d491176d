"""The second station: frames become one track per person."""
