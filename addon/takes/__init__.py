"""The takes of a scene: their list, settings, places, corrections and clean-up."""
