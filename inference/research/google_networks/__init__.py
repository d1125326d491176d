"""Google's free networks: TFLite files in, the ONNX files of `weights/` out."""
