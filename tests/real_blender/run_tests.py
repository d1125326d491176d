"""Run the add-on's tests in the Python of the Blender that runs this file; arguments after ``--`` go to pytest."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
sys.exit(pytest.main(["--rootdir", str(ROOT), "-p", "no:cacheprovider", *given, str(ROOT / "tests" / "addon")]))
