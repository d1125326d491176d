"""Make this checkout importable as the package ``video_motion``, whatever its folder is called.

Inside Blender the same files are an extension's package and ``__init__.py`` is its entry.
"""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parent)]
