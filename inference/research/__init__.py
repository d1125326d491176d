"""Networks in torch, training, evaluation, benchmarks. Nothing here ships."""
