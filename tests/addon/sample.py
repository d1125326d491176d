"""The sample clip, and what tests need that estimate its motion."""

import importlib.util
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "sample" / "sample.mp4"

needs_packages = pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs 'onnxruntime'")
