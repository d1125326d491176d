"""The published networks in torch: for training and export only."""
