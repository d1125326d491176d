"""The worker process of the add-on and of batches."""
