"""Where networks run: ONNX Runtime on the CPU or a GPU."""
