"""Importing motion through the panel: by hand, cancelled, with the worker killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from .panel import (
    CAMERA,
    CANCEL,
    CHOOSE_PERSON,
    END,
    FILEPATH,
    FIND_PEOPLE,
    HEIGHT,
    IMAGE_RATE,
    IMPORT,
    IMPORT_QUEUE,
    JOBS,
    KNOWS_HEIGHT,
    KNOWS_LENS,
    LEAVE_OUT,
    LENS,
    PREVIEW,
    SAMPLE,
    TAB,
    TAKE_HEIGHT,
    TRIM_HERE,
    Panel,
    characters,
    contents,
    living,
)
from .session import Blender, wait_until

SAMPLE_FRAMES = 180
LONGEST_SILENCE = 0.25
"""Share of a job's time; software draws the window here, so that no number of seconds would hold everywhere."""
CANCEL_SECONDS = 1.0
CLICKS = 4
_TAB_SHOWN = "next(one for one in bpy.context.area.regions if one.type == 'UI').active_panel_category == 'Video Motion'"

_SWITCH, _FIELD, _ROW_END, _SECOND_PERSON = 0.42, 0.55, 0.69, 0.7
"""Where the switch of a number, a field, the button at the end of a row of a list, and the second picture of a person
are, as shares of the sidebar's width."""

_PART = {"start": 0.3, "end": 0.7}
"""Where the buttons that trim are, as shares of the sidebar's width."""

_ICON, _FIRST_FILE, _NEXT_FILE = 20, 139, 22
"""Pixels from a file browser's left top to the icon of the first of its files, and to the next one's."""

_SIGHT = """
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Vector

def view():
    return bpy.context.space_data.region_3d

def state():
    scene, cube = bpy.context.scene, bpy.data.objects["Cube"]
    return {
        "perspective": view().view_perspective,
        "rotation": [round(part, 5) for part in view().view_rotation],
        "distance": round(view().view_distance, 4),
        "camera": scene.camera.name,
        "cube": cube.visible_get() and not cube.hide_render,
        "start": scene.frame_start,
        "end": scene.frame_end,
        "now": scene.frame_current,
        "fps": round(scene.render.fps / scene.render.fps_base, 3),
        "objects": sorted(one.name for one in scene.objects),
    }

def camera_corners():
    camera = bpy.context.scene.camera
    return [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=bpy.context.scene)]

def joints():
    armature = next(one for one in bpy.data.objects if one.type == "ARMATURE")
    return [armature.matrix_world @ bone.head for bone in armature.pose.bones]

def on_screen(points):
    region = next(one for one in bpy.context.area.regions if one.type == "WINDOW")
    found = [location_3d_to_region_2d(region, view(), point) for point in points]
    height = bpy.context.window.height
    return [(region.x + place.x, height - region.y - place.y) for place in found]

def first_hit(bone):
    scene, armature = bpy.context.scene, next(one for one in bpy.data.objects if one.type == "ARMATURE")
    start = scene.camera.matrix_world.translation
    direction = (armature.matrix_world @ armature.pose.bones[bone].head) - start
    return scene.ray_cast(bpy.context.evaluated_depsgraph_get(), start, direction.normalized())[4].name
"""


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
    for name, value in (("quality", "fast"), ("rate", "VIDEO")):
        blender.do(f"bpy.context.scene.video_motion.{name} = {value!r}")
    blender.screenshot("panel-video")
    before = contents(blender)

    panel.forget_results()
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


@pytest.mark.interface
def test_four_clicks_from_the_extension_to_a_moving_character(blender: Blender, tmp_path: Path):
    files = _show_files(blender, tmp_path, "walk.mp4")
    # Only so that the test takes less time.
    blender.do("bpy.context.scene.video_motion.quality = 'fast'")
    clicks = _drop(blender, files[0])
    blender.wait_until("bpy.context.scene.video_motion.filepath.endswith('walk.mp4')", 5)
    wait_until(lambda: blender.region("UI")[2] - blender.region("UI")[0] > 20, 5, "the sidebar opens")
    if not blender.ask(_TAB_SHOWN):
        assert blender.ask("bpy.app.version < (5, 0, 0)"), "scripts can choose the tab"
        blender.open_sidebar(TAB)
        clicks += 1
    panel = Panel(blender)
    panel.wait_until_seen()
    blender.screenshot("dropped")
    blender.click_button(IMPORT)
    clicks += 1
    panel.wait_until_ended()
    assert panel.problem is None
    blender.do("import json\n" + _SIGHT)
    assert blender.ask("first_hit('pelvis')") == "walk person 1 body"
    before = blender.ask("[list(place) for place in joints()]")
    # Playing takes a key, like undoing.
    blender.point(*_middle_of_view(blender))
    blender.key("space")
    wait_until(lambda: blender.ask("[list(place) for place in joints()]") != before, 20, "the character moves")
    blender.key("Escape")
    assert clicks <= CLICKS


# Blender 4's own file browser drags one file, whatever is selected.
def test_dropped_videos_wait_in_the_list(blender: Blender, tmp_path: Path):
    files = _show_files(blender, tmp_path, "one.mp4", "two.mp4")
    blender.click(*files[0])
    blender.display.run("xdotool", "keydown", "ctrl")
    blender.click(*files[1])
    blender.display.run("xdotool", "keyup", "ctrl")
    _drop(blender, files[1])
    queue = "bpy.context.window_manager.video_motion_queue"
    blender.wait_until(f"sorted(one.name for one in {queue}.videos) == ['one.mp4', 'two.mp4']", 5)
    blender.screenshot("dropped-two")
    assert blender.ask("bpy.context.scene.video_motion.filepath") == ""
    blender.do("bpy.ops.video_motion.clear_queue()")


@pytest.mark.interface
def test_the_result_is_seen_at_once(panel: Panel, blender: Blender):
    blender.do(_SIGHT)
    panel.choose(SAMPLE, trim=True, start=2.0, end=3.0)
    panel.wait_until_seen()
    # Something other than Blender's own view, to come back to.
    blender.do("view().view_distance = 9.0")
    before = blender.ask("state()")
    assert before["cube"]
    blender.click_button(IMPORT)
    panel.wait_until_ended()
    assert panel.problem is None
    panel.show_footage(True)
    blender.screenshot("seen-through-the-camera")
    panel.show_footage(False)
    after = blender.ask("state()")
    assert (after["perspective"], after["camera"], after["cube"]) == ("CAMERA", "sample camera", False)
    assert (after["start"], after["end"], after["now"]) == (51, 75, 51)
    corners = blender.ask("on_screen(camera_corners())")
    left, top, right, bottom = _free_of_regions(blender)
    assert all(left < x < right and top < y < bottom for x, y in corners)
    widths, heights = ({round(corner[axis]) for corner in corners} for axis in (0, 1))
    share = max((max(widths) - min(widths)) / (right - left), (max(heights) - min(heights)) / (bottom - top))
    assert share > 0.8, "the frame fills the view"
    # Nothing stands between the camera and the person.
    assert blender.ask("first_hit('pelvis')") == "sample person 1 body"

    blender.point(*_middle_of_view(blender))
    blender.key("ctrl+z")
    wait_until(lambda: blender.ask("state()") == before, 5, "one undo takes it all back")
    blender.key("ctrl+shift+z")
    wait_until(lambda: blender.ask("state()") == after, 5, "one redo shows it again")


@pytest.mark.interface
def test_one_click_shows_a_person_always(panel: Panel, blender: Blender):
    panel.choose(SAMPLE, trim=True, start=2.0, end=3.0)
    panel.start()
    panel.wait_until_ended()
    assert panel.problem is None
    blender.do("bpy.context.scene.frame_set(40)\nbpy.ops.ed.undo_push(message='another frame')")
    seen = "bpy.data.objects['sample person 1 body'].visible_get()"
    assert not blender.ask(seen)
    blender.screenshot("seen-not-yet")
    panel.close()
    blender.click_button(".video_motion_only_while_seen")
    blender.wait_until(seen, 5)
    blender.screenshot("seen-always")
    blender.point(*_middle_of_view(blender))
    blender.key("ctrl+z")
    blender.wait_until(f"not {seen}", 5)


@pytest.mark.interface
def test_people_are_chosen_by_clicks(panel: Panel, blender: Blender, tmp_path: Path):
    video, people = tmp_path / "two.avi", "bpy.context.scene.video_motion.people"
    # The sample beside its mirror image, written by the packages in the extension.
    blender.do(
        "import cv2, numpy\n"
        f"film = cv2.VideoWriter({str(video)!r}, cv2.VideoWriter.fourcc(*'MJPG'), 25, (1280, 480))\n"
        f"sample = cv2.VideoCapture({str(SAMPLE)!r})\n"
        "for image in [sample.read()[1] for _ in range(70)][50:]:\n"
        "    film.write(numpy.hstack([image, image[:, ::-1]]))\n"
        "film.release()"
    )
    panel.choose(video)
    panel.wait_until_seen()
    blender.click_button(FIND_PEOPLE)
    panel.wait_until_ended()
    # The pictures are below the window.
    for _ in range(5):
        blender.display.run("xdotool", "click", "5")
    blender.screenshot("people-found")
    # As typing a video's name does.
    blender.do("bpy.ops.ed.undo_push(message='chosen')")
    second = blender.find_button(f"{CHOOSE_PERSON}person=2", across=_SECOND_PERSON)
    blender.click(*second)
    blender.wait_until(f"{people} == '1'", 5)
    blender.screenshot("people-one-chosen")
    blender.point(*_middle_of_view(blender))
    blender.key("ctrl+z")
    blender.wait_until(f"{people} == ''", 5)
    blender.display.run("xdotool", "keydown", "ctrl")
    blender.click(*second)
    blender.display.run("xdotool", "keyup", "ctrl")
    blender.wait_until(f"{people} == '2'", 5)
    blender.click_button(IMPORT)
    panel.wait_until_ended()
    assert panel.problem is None
    assert list(characters(blender)) == ["two person 2"]


@pytest.mark.interface
def test_lens_and_height_are_typed_in(panel: Panel, blender: Blender):
    settings = "bpy.context.scene.video_motion"
    panel.choose(SAMPLE, trim=True, start=2.0, end=3.0)
    panel.wait_until_seen()
    blender.screenshot("panel-lens-and-height-found")
    for known, number, value in ((KNOWS_LENS, LENS, "26"), (KNOWS_HEIGHT, HEIGHT, "190cm")):
        blender.click(*blender.find_button(known, across=_SWITCH))
        panel.type_number(number, value)
    blender.screenshot("panel-lens-and-height")
    assert blender.ask(f"({settings}.focal_mm, round({settings}.height, 4))") == [26.0, 1.9]
    blender.click_button(IMPORT)
    panel.wait_until_ended()
    assert panel.problem is None
    report = json.loads(blender.ask("bpy.data.collections['sample']['video_motion']"))["report"]
    assert report["shots"][0]["camera"]["focal_pixels"] == pytest.approx(26 * 800 / (36**2 + 24**2) ** 0.5)
    assert report["people"][0]["height"] == pytest.approx(1.9, abs=0.01)
    blender.screenshot("panel-height-imported")

    head = "bpy.data.armatures['sample person 1'].bones['head'].head_local.z"
    tall, away = blender.ask(f"({head}, bpy.context.scene.camera.location.length)")
    panel.close()
    assert blender.ask("bpy.data.collections['sample'].video_motion_take.knows_height")
    panel.type_number(TAKE_HEIGHT, "160cm")
    panel.update()
    panel.wait_until_ended()
    assert panel.problem is None
    blender.screenshot("panel-height-updated")
    assert blender.ask(head) == pytest.approx(tall * 1.6 / 1.9, rel=0.02)
    assert blender.ask("bpy.context.scene.camera.location.length") < 0.95 * away
    blender.point(*_middle_of_view(blender))
    blender.key("ctrl+z")
    blender.wait_until(f"{head} == {tall}", 5)
    assert blender.ask("bpy.context.scene.camera.location.length") == away


@pytest.mark.interface
def test_the_rate_of_images_is_typed_in(panel: Panel, blender: Blender, tmp_path: Path):
    blender.do(
        "import cv2\n"
        f"sample = cv2.VideoCapture({str(SAMPLE)!r})\n"
        "for number in range(20):\n"
        f"    cv2.imwrite({str(tmp_path)!r} + '/walk_%04d.png' % number, sample.read()[1])"
    )
    panel.choose(tmp_path / "walk_0000.png")
    panel.wait_until_seen()
    panel.type_number(IMAGE_RATE, "10")
    blender.screenshot("panel-images")
    assert blender.ask("bpy.context.scene.video_motion.seconds") == pytest.approx(2.0), "what the panel says, too"
    blender.click_button(IMPORT)
    panel.wait_until_ended()
    assert panel.problem is None
    # A second frame of the pictures is a second frame of the scene.
    assert blender.ask("bpy.context.scene.render.fps / bpy.context.scene.render.fps_base") == pytest.approx(10)
    assert blender.ask("(bpy.context.scene.frame_start, bpy.context.scene.frame_end)") == [1, 20]


@pytest.mark.interface
def test_a_camera_of_the_scene_is_chosen_by_name(panel: Panel, blender: Blender):
    # A camera as high as the sample's, elsewhere.
    blender.do(
        "camera = bpy.data.objects['Camera']\n"
        "camera.location, camera.rotation_euler = (5.0, -2.0, 1.4), (1.45, 0.0, 2.0)\n"
        "scene = bpy.context.scene\n"
        "scene.render.resolution_x, scene.render.resolution_y = 640, 480\n"
        "scene.render.fps, scene.frame_start, scene.frame_end = 25, 1, 250"
    )
    panel.choose(SAMPLE, trim=True, start=2.0, end=3.0)
    panel.wait_until_seen()
    # The first click only brings the mouse to the field.
    where = blender.find_button(CAMERA, across=_FIELD)
    blender.click(*where)
    blender.type("Camera")
    blender.key("Return")
    blender.wait_until("bpy.context.scene.video_motion.solved_camera == bpy.data.objects['Camera']", 5)
    blender.screenshot("panel-camera")
    blender.click_button(IMPORT)
    panel.wait_until_ended()
    assert panel.problem is None
    made, own = blender.ask(
        "[[round(part, 3) for row in one.matrix_world for part in row]"
        " for one in (bpy.context.scene.camera, bpy.data.objects['Camera'])]"
    )
    assert made == own
    assert blender.ask("bpy.context.scene.camera.name") == "sample camera"


@pytest.mark.interface
def test_people_are_framed_without_a_camera(panel: Panel, blender: Blender):
    blender.do(_SIGHT)
    panel.choose(SAMPLE, trim=True, start=2.0, end=3.0, camera=False)
    before = blender.ask("state()")
    panel.start()
    panel.wait_until_ended()
    blender.screenshot("seen-framed")
    after = blender.ask("state()")
    assert (after["perspective"], after["cube"], after["rotation"]) == ("PERSP", False, before["rotation"])
    left, top, right, bottom = blender.region("WINDOW")
    heads = blender.ask("on_screen(joints())")
    assert all(left < x < right and top < y < bottom for x, y in heads)
    assert max(y for _, y in heads) - min(y for _, y in heads) > (bottom - top) / 4, "they are not far away"
    blender.do("view().view_distance = 20.0")
    blender.point(*_middle_of_view(blender))
    blender.key("ctrl+z")
    wait_until(lambda: not characters(blender), 5, "one undo takes it back")
    assert blender.ask("view().view_distance") == pytest.approx(20.0), "who looked elsewhere stays there"


@pytest.mark.interface
def test_views_stay_where_that_is_asked(panel: Panel, blender: Blender):
    blender.do(_SIGHT)
    panel.choose(SAMPLE, trim=True, start=2.0, end=3.0, look=False)
    before = blender.ask("state()")
    panel.start()
    panel.wait_until_ended()
    assert panel.problem is None
    assert characters(blender)
    after = blender.ask("state()")
    same = ("perspective", "rotation", "distance", "cube")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


@pytest.mark.interface
def test_the_ends_of_the_part_are_shown(panel: Panel, blender: Blender):
    panel.choose(SAMPLE, trim=True, start=2.0, end=3.0)
    panel.wait_until_seen()
    blender.wait_until(f"all({JOBS}.picture(name) for name in {JOBS}.PART)", 60)
    blender.screenshot("panel-part")
    before = blender.ask(f"[{JOBS}.picture(name) for name in {JOBS}.PART]")
    panel.type_number(END, "6")
    blender.wait_until(f"{JOBS}.picture('end') not in {before}", 30)
    blender.screenshot("panel-part-longer")


@pytest.mark.interface
def test_the_video_is_looked_through_and_trimmed_where_it_shows(panel: Panel, blender: Blender):
    settings, moment = "bpy.context.scene.video_motion", f"{JOBS}.moment"
    # Otherwise Blender moves the mouse itself, which the display in memory does not follow.
    blender.do("bpy.context.preferences.inputs.use_mouse_continuous = False")
    panel.choose(SAMPLE)
    panel.wait_until_seen()
    shown = []
    for share, part in ((0.3, "start"), (0.6, "end")):
        x, y = blender.find_button(PREVIEW, across=_PART[part])
        blender.point(x, y)
        blender.display.run("xdotool", "mousedown", "1")
        wanted = share * 7.2
        for step in range(1, 40):
            seconds = blender.ask(moment)
            if abs(seconds - wanted) < 0.1:
                break
            blender.point(x + (step if seconds < wanted else -step) * 3, y)
        # The picture changes while the button is still down.
        blender.wait_until(f"{JOBS}.picture({JOBS}.MOMENT) not in {[0, *shown]}", 30)
        shown.append(blender.ask(f"{JOBS}.picture({JOBS}.MOMENT)"))
        blender.display.run("xdotool", "mouseup", "1")
        wanted = blender.ask(moment)
        blender.click(*blender.find_button(f"{TRIM_HERE}part='{part}'", across=_PART[part]))
        blender.wait_until(f"{settings}.trim", 5)
        # The last picture is one of the part.
        ends = {"start": wanted, "end": wanted + 0.04}
        assert blender.ask(f"{settings}.{part}") == pytest.approx(ends[part], abs=1e-3)
    blender.wait_until(f"all({JOBS}.picture(name) for name in {JOBS}.PART)", 30)
    blender.screenshot("panel-trimmed-by-looking")
    start, end = blender.ask(f"({settings}.start, {settings}.end)")
    assert 1.0 < start < end < 7.2


@pytest.mark.interface
def test_videos_are_imported_one_after_the_other(panel: Panel, blender: Blender, tmp_path: Path):
    text = tmp_path / "text.mp4"
    text.write_text("This is no video.\n" * 100)
    names = ["first.mp4", "text.mp4", "left out.mp4", "last.mp4"]
    for name in names[::2] + names[-1:]:
        shutil.copy(SAMPLE, tmp_path / name)
    panel.choose(SAMPLE)
    # What a drop of several files does.
    blender.do(
        f"bpy.ops.video_motion.open_video(filepath={str(tmp_path / names[0])!r}, directory={str(tmp_path)!r},"
        f" files=[{{'name': name}} for name in {names}])"
    )
    blender.redraw()
    blender.screenshot("queue-waiting")
    blender.click(*blender.find_button(f"{LEAVE_OUT}index=2", across=_ROW_END))
    assert [video for video, _ in _queue(blender)] == [names[0], names[1], names[3]]
    panel.forget_results()
    where = blender.find_button(IMPORT_QUEUE)
    blender.click(*where)
    panel.wait_until_working()
    blender.screenshot("queue-running")
    blender.click(*blender.find_button(f"{LEAVE_OUT}index=0", across=_ROW_END))
    panel.wait_until_queue_ended()
    blender.screenshot("queue-ended")
    assert _queue(blender) == [[names[0], "cancelled"], [names[1], "failed"], [names[3], "done"]]
    assert list(characters(blender)) == ["last person 1"]
    blender.point(*_middle_of_view(blender))
    blender.key("ctrl+z")
    wait_until(lambda: not characters(blender), 5, "one undo takes the last one back")


def test_cancel(panel: Panel, blender: Blender):
    panel.choose(SAMPLE)
    panel.wait_until_seen()
    before = contents(blender)
    panel.forget_results()
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
    panel.forget_results()
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
    panel.forget_results()
    panel.choose(SAMPLE)
    panel.start()
    panel.wait_until_working()
    processes = panel.processes()
    blender.start_anew()
    wait_until(lambda: not living(processes), CANCEL_SECONDS, "the processes end")
    time.sleep(0.5)
    assert characters(blender) == {}


def _queue(blender: Blender) -> list[list[str]]:
    """The names of the videos of the queue, each with what became of it."""
    return blender.ask("[(one.name, one.state) for one in bpy.context.window_manager.video_motion_queue.videos]")


def _middle_of_view(blender: Blender) -> tuple[float, float]:
    left, top, right, bottom = blender.region("WINDOW")
    return left + (right - left) / 3, (top + bottom) / 2


def _free_of_regions(blender: Blender) -> tuple[int, int, int, int]:
    """The part of the view that neither headers, tools nor the sidebar cover."""
    left, top, right, bottom = blender.region("WINDOW")
    return (
        max(left, blender.region("TOOLS")[2]),
        max(top, blender.region("TOOL_HEADER")[3]),
        min(right, blender.region("UI")[0]),
        bottom,
    )


def _show_files(blender: Blender, folder: Path, *names: str) -> list[tuple[int, int]]:
    """Show copies of the sample in a file browser beside the view; where the icon of each is on the screen."""
    for name in names:
        shutil.copy(SAMPLE, folder / name)
    blender.do("next(one for one in bpy.context.screen.areas if one.type == 'PROPERTIES').type = 'FILE_BROWSER'")
    blender.redraw()
    blender.do(
        "space = bpy.context.space_data\n"
        f"space.params.directory = {str(folder).encode()!r}\n"
        "space.params.display_type = 'LIST_VERTICAL'\n"
        "space.show_region_toolbar = False",
        area="FILE_BROWSER",
    )
    blender.screenshot("files")
    x, top = blender.ask(
        "(bpy.context.area.x, bpy.context.window.height - bpy.context.area.y - bpy.context.area.height)",
        area="FILE_BROWSER",
    )
    return [(x + _ICON, top + _FIRST_FILE + _NEXT_FILE * number) for number in range(len(names))]


def _drop(blender: Blender, file: tuple[int, int]) -> int:
    """Drag a file into the 3D view, and choose this extension where others take videos, too; how many clicks it was."""
    left, top, right, bottom = blender.region("WINDOW")
    place = left + (right - left) / 3, top + 0.8 * (bottom - top)
    blender.drag(file, place)
    blender.screenshot("dropping")
    # Blender can also show the video on an empty: its menu appears with the last entry, ours, under the mouse.
    blender.click(*place)
    return 2
