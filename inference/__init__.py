"""The way from footage to motion, without Blender."""

import os

MOST_PIXELS = 2**26
"""Of an image that is read: twice as many as 8K has. What a damaged header claims is reserved first."""

# OpenCV reads it once, when the first of many modules loads it.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
