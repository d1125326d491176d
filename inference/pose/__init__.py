"""The networks as the user runs them: features, windows, ONNX Runtime."""
