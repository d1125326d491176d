"""Importing motion through the panel: by hand, cancelled, with the worker killed, with a full disk, twice at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from .panel import CANCEL, FILEPATH, IMPORT, SAMPLE, Panel, characters, contents, living
from .session import Blender, Display, wait_until

SAMPLE_FRAMES = 180
LONGEST_SILENCE = 0.25
"""Share of a job's time; software draws the window here, so that no number of seconds would hold everywhere."""
CANCEL_SECONDS = 1.0


@pytest.fixture
def panel(blender: Blender) -> Panel:
    return Panel(blender)


@pytest.mark.interface
def test_import_by_hand(panel: Panel, blender: Blender, tmp_path: Path):
    blender.screenshot("panel-empty")
    blender.click_button(FILEPATH)
    blender.key("ctrl+a")
    blender.type(str(SAMPLE))
    blender.key("Return")
    panel.wait_until_seen()
    blender.do("bpy.context.scene.video_motion.quality = 'fast'")
    blender.screenshot("panel-video")
    before = contents(blender)

    blender.click_button(IMPORT)
    panel.wait_until_working()
    blender.screenshot("panel-running")
    shares, answers = [], [time.monotonic()]
    while panel.busy:
        shares.append(panel.share)
        answers.append(time.monotonic())
    panel.wait_until_ended()
    assert panel.problem is None
    assert shares == sorted(shares)
    assert len(set(shares)) > 5
    silences = [later - earlier for earlier, later in pairwise(answers)]
    assert max(silences) < LONGEST_SILENCE * (answers[-1] - answers[0])
    blender.screenshot("panel-imported")
    assert list(characters(blender).values()) == [SAMPLE_FRAMES]
    after = contents(blender)

    blender.point(*_middle_of_view(blender))
    blender.key("ctrl+z")
    wait_until(lambda: contents(blender) == before, 5, "one undo removes it all")
    assert blender.ask("bpy.context.scene.video_motion.filepath") == str(SAMPLE)
    blender.key("ctrl+shift+z")
    wait_until(lambda: contents(blender) == after, 5, "one redo brings it all back")
    assert list(characters(blender).values()) == [SAMPLE_FRAMES]

    file = tmp_path / "imported.blend"
    blender.do(f"bpy.ops.wm.save_as_mainfile(filepath={str(file)!r})")
    blender.start_anew()
    assert characters(blender) == {}
    blender.do(f"bpy.ops.wm.open_mainfile(filepath={str(file)!r})", area=None)
    assert contents(blender) == after
    assert list(characters(blender).values()) == [SAMPLE_FRAMES]


def test_people_are_seen_twice_for_the_best_quality(panel: Panel, blender: Blender):
    panel.choose(SAMPLE, quality="best", trim=True, start=3.0, end=4.0)
    panel.start()
    stages, shares = [], []
    while panel.busy:
        stages.append(panel.stage)
        shares.append(panel.share)
    panel.wait_until_ended()
    assert panel.problem is None
    assert "landmarks" in stages
    assert shares == sorted(shares)
    assert list(characters(blender).values()) == [25]


def test_cancel(panel: Panel, blender: Blender):
    panel.choose(SAMPLE)
    panel.wait_until_seen()
    before = contents(blender)
    where = blender.find_button(IMPORT)
    blender.click(*where)
    panel.wait_until_working()
    processes = panel.processes()
    # On a slow machine the work could be done before the mouse has found the button.
    os.kill(panel.worker, signal.SIGSTOP)
    where = blender.find_button(CANCEL, near=where[1])
    os.kill(panel.worker, signal.SIGCONT)
    assert living(processes) == processes
    blender.click(*where)
    wait_until(lambda: not living(processes), CANCEL_SECONDS, "the processes end")
    panel.wait_until_ended()
    assert panel.problem is None
    assert contents(blender) == before
    blender.screenshot("panel-cancelled")
    blender.find_button(IMPORT, near=where[1])


def test_killed_worker_is_told(panel: Panel, blender: Blender):
    panel.choose(SAMPLE)
    panel.start()
    panel.wait_until_working()
    processes = panel.processes()
    os.kill(panel.worker, signal.SIGKILL)
    panel.wait_until_ended()
    assert "memory" in (panel.problem or "")
    wait_until(lambda: not living(processes), CANCEL_SECONDS, "the processes end")
    blender.screenshot("panel-killed")


def test_opening_another_file_ends_the_job(panel: Panel, blender: Blender):
    panel.choose(SAMPLE)
    panel.start()
    panel.wait_until_working()
    processes = panel.processes()
    blender.start_anew()
    wait_until(lambda: not living(processes), CANCEL_SECONDS, "the processes end")
    time.sleep(0.5)
    assert characters(blender) == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk_is_told(panel: Panel, blender: Blender, small_disk: Path):
    preferences = "bpy.context.preferences.addons['bl_ext.user_default.video_motion'].preferences"
    blender.do(f"{preferences}.cache_folder = {str(small_disk)!r}")
    try:
        panel.choose(SAMPLE, trim=True, end=1.0)
        panel.start()
        panel.wait_until_ended()
        blender.screenshot("panel-full-disk")
        assert str(small_disk) in (panel.problem or "")
        assert "No space left" in (panel.problem or "")
    finally:
        blender.do(f"{preferences}.cache_folder = ''")
    assert characters(blender) == {}


def test_two_blenders_of_one_user_import_at_once(blender: Blender):
    blender.do("bpy.ops.wm.save_userpref()")
    other_display = Display()
    try:
        with Blender(other_display, blender.home) as other:
            panels = [Panel(one) for one in (blender, other)]
            for panel in panels:
                panel.choose(SAMPLE, trim=True, start=3.0, end=5.0)
                panel.start()
            for panel in panels:
                panel.wait_until_ended()
                assert panel.problem is None
                assert list(characters(panel.blender).values()) == [50]
    finally:
        other_display.close()


def _middle_of_view(blender: Blender) -> tuple[float, float]:
    left, top, right, bottom = blender.region("WINDOW")
    return left + (right - left) / 3, (top + bottom) / 2
