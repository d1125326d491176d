"""The lock that processes share."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from video_motion.inference import locks

HOLD = """
import sys
from pathlib import Path
from video_motion.inference import locks
with locks.hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_waited_for_and_ends_with_its_process(tmp_path: Path):
    file, waits = tmp_path / "lock", threading.Event()

    @contextmanager
    def waiting():
        waits.set()
        yield

    def take() -> None:
        with locks.hold(file, waiting):
            pass

    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    assert waits.wait(10)
    assert taker.is_alive()
    holder.kill()
    holder.communicate()
    taker.join(10)
    assert not taker.is_alive()
    waits.clear()
    take()
    assert not waits.is_set()
