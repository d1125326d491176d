"""Making training data and training the networks; nothing of it runs at a user's."""
