"""Where networks run: ONNX Runtime on the CPU or a GPU."""

import os

# Else ONNX Runtime tells Microsoft how it is used, and keeps a database for that in the user's cache folder.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
