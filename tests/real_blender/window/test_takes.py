"""The list of takes by mouse: selecting, hiding, correcting, deleting, each with its undo."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .panel import IMPORT, SAMPLE, Panel, contents
from .session import Blender, Display, wait_until

pytestmark = pytest.mark.interface

INDEX = ".video_motion_takes.index"
ALONE = ".video_motion_takes.alone"
REMOVE = "bpy.ops.video_motion.remove_take("
START = "bpy.ops.video_motion.start_corrections("
RENDER = ".video_motion_take.render_footage"
RENDER_SECONDS = 200.0
DOUBT = ("rgb(255,107,13)", "12%")
GENDER, CLOTHES = ".video_motion_gender", ".video_motion_clothes"
KNOWS_HEIGHT = ".video_motion_take.knows_height"
CONFIDENCE = ".video_motion_takes.confidence"
SMOOTH_ARMS, IN_PLACE = ".video_motion_take.smooth_arms", ".video_motion_take.in_place"
MARK_FOOT, ADD_HANDLE = "bpy.ops.video_motion.mark_foot(", "bpy.ops.video_motion.add_handle("
PLACE = ".video_motion_takes.place"
UPDATE = "bpy.ops.video_motion.update_motion("

_SWITCH, _WOMAN, _FREE = 0.42, 0.5, 0.8
"""Where the switch of a number, the second of three choices, and the last of two are, as shares of the sidebar's
width."""

_ROW, _HEADER_LEFT = 24, 60

_TAKES = """
def takes():
    return [one for one in bpy.context.scene.collection.children_recursive if "video_motion" in one]

def armature(take):
    return next(one for one in bpy.data.collections[take].all_objects if one.type == "ARMATURE")

def state():
    scene = bpy.context.scene
    layers = bpy.context.view_layer.layer_collection.children
    return {
        "takes": [one.name for one in takes()],
        "shown": [one.name for one in takes() if not layers[one.name].exclude],
        "camera": scene.camera.name,
        "range": [scene.frame_start, scene.frame_end],
        "active": bpy.context.view_layer.objects.active.name,
    }

def figure():
    armature = bpy.context.active_object
    chest = armature.data.bones["left_shoulder"].head_local
    return [armature.video_motion_gender, [round(part, 4) for part in chest]]

def curves(action):
    if hasattr(action, "fcurves"):
        return list(action.fcurves)
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
    return [curve for bag in bags for curve in bag.fcurves]

def turns(bone):
    action = armature("sample.001").animation_data.action
    found = [curve for curve in curves(action) if curve.data_path == f'pose.bones["{bone}"].rotation_quaternion']
    return [[round(curve.evaluate(frame), 5) for frame in range(76, 101)] for curve in found]

def arms():
    return [turns(f"{side}_elbow") for side in ("left", "right")]

def wobble():
    return [sum(abs(a - 2 * b + c) for a, b, c in zip(one, one[1:], one[2:])) for arm in arms() for one in arm]

def marks():
    found = [one for one in curves(armature("sample.001").animation_data.action) if "contact" in one.data_path]
    return [[round(key.co.y, 3) for key in one.keyframe_points] for one in found]

def path():
    one, scene = armature("sample.001"), bpy.context.scene
    places = []
    for frame in (76, 100):
        scene.frame_set(frame)
        places.append((one.matrix_world @ one.pose.bones["pelvis"].head).xy)
    return (places[1] - places[0]).length

def where(take):
    one = armature(take)
    return (one.matrix_world @ one.pose.bones["pelvis"].head).x

def head():
    bone = bpy.context.active_object.pose.bones["head"]
    return [round(part, 4) for part in bone.rotation_quaternion]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the two takes are, once made."""
    return tmp_path_factory.mktemp("takes") / "two takes.blend"


@pytest.fixture
def two_takes(blender: Blender, file: Path) -> Panel:
    """Two takes of different parts of the sample, the second selected, with room in the panel for the list."""
    if file.exists():
        blender.do(f"bpy.ops.wm.open_mainfile(filepath={str(file)!r})", area=None)
    panel = Panel(blender)
    blender.do(_TAKES)
    if not file.exists():
        for start, end in ((2.0, 3.0), (3.0, 4.0)):
            panel.choose(SAMPLE, trim=True, start=start, end=end)
            panel.start()
            panel.wait_until_ended()
            assert panel.problem is None
        blender.do(f"bpy.ops.wm.save_as_mainfile(filepath={str(file)!r})")
    # So that the list is in sight whole.
    panel.close()
    return panel


def undo(blender: Blender, until: Callable[[], bool], what: str) -> None:
    left, top, right, bottom = blender.region("WINDOW")
    blender.point(left + (right - left) / 3, (top + bottom) / 2)
    blender.key("ctrl+z")
    wait_until(until, 5, what)


def row_of(blender: Blender, number: int) -> tuple[int, int]:
    """Where a row of the list is."""
    left, _, right, _ = blender.region("UI")
    # The button beside the list begins where its first row does.
    y = blender.find_button(REMOVE)[1]
    return round(left + 0.55 * (right - left)), y + 6 + 21 * number


def test_a_click_selects_a_take(two_takes: Panel, blender: Blender):
    before = blender.ask("state()")
    assert before["takes"] == ["sample", "sample.001"]
    assert (before["camera"], before["range"]) == ("sample.001 camera", [76, 100])
    blender.screenshot("takes-two")
    blender.click(*row_of(blender, 0))
    wait_until(lambda: blender.ask("state()")["camera"] == "sample camera", 5, "the click selects")
    after = blender.ask("state()")
    assert (after["range"], after["active"]) == ([51, 75], "sample person 1")
    blender.screenshot("takes-first-selected")
    undo(blender, lambda: blender.ask("state()") == before, "one undo goes back to the other take")
    blender.click_button(ALONE)
    wait_until(lambda: blender.ask("state()")["shown"] == ["sample.001"], 5, "the other is hidden")
    blender.click(*row_of(blender, 0))
    wait_until(lambda: blender.ask("state()")["shown"] == ["sample"], 5, "selecting shows that one alone")
    blender.screenshot("takes-alone")


def test_another_figure_and_no_clothes_by_two_clicks(two_takes: Panel, blender: Blender):
    height = blender.find_button(KNOWS_HEIGHT, across=_SWITCH)[1]
    left = blender.region("UI")[0]
    # The section's header is above.
    blender.click(left + _HEADER_LEFT, height - _ROW)
    blender.screenshot("takes-body")
    before = blender.ask("figure()")
    assert before[0] == "neutral"
    blender.click(*blender.find_button(GENDER, near=height, across=_WOMAN))
    wait_until(lambda: blender.ask("figure()")[0] == "woman", 10, "the click chooses a woman's body")
    blender.screenshot("takes-woman")
    assert blender.ask("figure()")[1:] != before[1:]
    blender.click(*blender.find_button(CLOTHES, near=height + 2 * _ROW, across=_SWITCH))
    wait_until(lambda: not blender.ask("bpy.context.active_object.video_motion_clothes"), 5, "clothes come off")
    blender.screenshot("takes-plain")
    undo(blender, lambda: blender.ask("bpy.context.active_object.video_motion_clothes"), "one undo dresses again")
    blender.key("ctrl+z")
    wait_until(lambda: blender.ask("figure()") == before, 10, "another one gives the body back")


def test_a_take_is_deleted_by_one_click(two_takes: Panel, blender: Blender):
    before = contents(blender)
    blender.click_button(REMOVE)
    wait_until(lambda: blender.ask("state()")["takes"] == ["sample"], 5, "the take is deleted")
    blender.screenshot("takes-deleted")
    assert not [name for names in contents(blender).values() for name in names if "sample.001" in name]
    assert blender.ask("state()")["camera"] == "sample camera"
    undo(blender, lambda: contents(blender) == before, "one undo brings it back")


def test_corrections_by_hand_survive_an_update(two_takes: Panel, blender: Blender):
    blender.click_button(START)
    blender.wait_until("bpy.context.active_object.animation_data.action.name.endswith('corrections')", 5)
    # As an animator does: pose mode, the head, turn it, key it.
    blender.do("bpy.context.scene.frame_set(80)")
    blender.do(
        "bpy.ops.object.mode_set(mode='POSE')\nbpy.ops.pose.select_all(action='DESELECT')\n"
        "bones = bpy.context.active_object.data.bones\nbones.active = bones['head']\n"
        "posed = bpy.context.active_object.pose.bones['head']\n"
        "(bones['head'] if hasattr(bones['head'], 'select') else posed).select = True"
    )
    captured = blender.ask("head()")
    left, top, right, bottom = blender.region("WINDOW")
    blender.point(left + (right - left) / 3, (top + bottom) / 2)
    for key in ("r", "x", "x", "4", "5", "Return"):
        blender.key(key)
    wait_until(lambda: blender.ask("head()") != captured, 5, "the head turns")
    posed = blender.ask("head()")
    blender.do(
        "bpy.context.active_object.pose.bones['head'].keyframe_insert('rotation_quaternion')\n"
        "bpy.context.scene.frame_set(79)\nbpy.context.scene.frame_set(80)"
    )
    assert blender.ask("head()") == posed
    blender.screenshot("takes-corrected")
    blender.do("bpy.data.collections['sample.001'].video_motion_take.smoothing = 2.0")
    two_takes.update()
    two_takes.wait_until_ended()
    assert two_takes.problem is None
    blender.do("bpy.context.scene.frame_set(79)\nbpy.context.scene.frame_set(80)")
    again = blender.ask("head()")
    assert again != captured
    assert again == pytest.approx(posed, abs=0.05)
    blender.screenshot("takes-corrections-kept")


def test_renders_show_the_footage_and_shadows(two_takes: Panel, blender: Blender, tmp_path: Path):
    # Floors of other takes would be seen.
    blender.do("bpy.context.scene.video_motion_takes.alone = True")
    blender.click_button(RENDER)
    blender.wait_until("bpy.context.scene.view_settings.view_transform == 'Standard'", 5)
    blender.screenshot("takes-render-footage")
    blender.do(
        "import numpy as np\n"
        "scene = bpy.context.scene\n"
        "scene.render.resolution_percentage, scene.eevee.taa_render_samples = 10, 1\n"
        "def render(name):\n"
        f"    scene.render.filepath = {str(tmp_path)!r} + name\n"
        "    bpy.ops.render.render(write_still=True)\n"
        "    image = bpy.data.images.load(scene.render.filepath)\n"
        "    return np.array(image.pixels[:]).reshape(48, 64, 4)[:, :, :3].mean(axis=-1)\n"
        "scene.frame_set(80)\n"
        "with_people = render('/people.png')\n"
        "for one in bpy.data.objects:\n"
        "    if one.name.endswith('body'):\n"
        "        one.driver_remove('hide_render')\n"
        "        one.hide_render = True\n"
        "alone = render('/alone.png')\n"
        # Beside the body, on the side away from the sun.
        "darker = (alone - with_people)[2:16, 37:50]",
        RENDER_SECONDS,
    )
    shutil.copy(tmp_path / "people.png", "/output/rendered.png")
    # The room's wall is light and its shelf and sofa are not: a picture, not the world's grey.
    assert blender.ask("float(alone.std())") > 0.05
    assert blender.ask("float(alone[40:].mean())") > 0.5
    assert blender.ask("float(darker.max())") > 0.05, "somebody throws a shadow"
    assert blender.ask("float(np.abs(with_people - alone)[30:, 50:].max())") < 0.05, "but not everywhere"


def test_confidence_is_drawn_over_time(two_takes: Panel, blender: Blender, display: Display):
    # The left arm was hardly seen for ten frames: bytes of a frame's number, then of each limb.
    blender.do(
        "action = bpy.context.active_object.animation_data.action\n"
        "rows = bytearray(action['video_motion_confidence'])\n"
        "for row in range(10, 20):\n"
        "    rows[10 * row + 4 + 2] = 20\n"
        "del action['video_motion_confidence']\n"
        "action['video_motion_confidence'] = bytes(rows)\n"
        "bpy.context.scene.frame_set(76)"
    )
    # The section's header is below that button.
    x, y = blender.find_button(START)
    blender.click(x, y + 2 * _ROW)
    blender.screenshot("takes-confidence-section")
    blender.click(*blender.find_button(CONFIDENCE, near=y + 3 * _ROW))
    blender.wait_until("bpy.context.scene.video_motion_takes.confidence", 5)
    # Here timelines are as high as their ruler.
    blender.do("next(one for one in bpy.context.screen.areas if one.type == 'VIEW_3D').type = 'DOPESHEET_EDITOR'")
    # Selected bones have that colour, too.
    shares = [display.share_of(blender.screenshot("takes-confidence"), *DOUBT)]
    blender.do("bpy.context.scene.video_motion_takes.confidence = False")
    shares.append(display.share_of(blender.screenshot("takes-no-confidence"), *DOUBT))
    assert shares[0] > shares[1] + 1e-4
    blender.do("bpy.ops.video_motion.go_to_doubt(step=1)")
    assert blender.ask("bpy.context.scene.frame_current") == 86


def test_clean_up_by_mouse(two_takes: Panel, blender: Blender):
    blender.do(_TAKES)
    x, y = blender.find_button(START)
    # The section's header is below that button.
    blender.click(x, y + _ROW)
    settings = "bpy.data.collections['sample.001'].video_motion_take"
    blender.screenshot("takes-clean-up")
    captured, wobble = blender.ask("(arms(), sum(wobble()))")
    two_takes.type_number(SMOOTH_ARMS, "3")
    blender.wait_until("arms() != " + repr(captured), 10)
    assert blender.ask(f"{settings}.smooth_arms") == 3.0
    smooth = blender.ask("arms()")
    assert blender.ask("sum(wobble())") < 0.8 * wobble
    undo(blender, lambda: blender.ask("arms()") == captured, "one undo gives the captured arms back")
    blender.key("ctrl+shift+z")
    wait_until(lambda: blender.ask("arms()") == smooth, 5, "one redo smooths them again")
    before = blender.ask("marks()")
    blender.click(*blender.find_button(f"{MARK_FOOT}foot='left_ankle', down=False", across=_FREE))
    blender.wait_until(f"marks() != {before}", 5)
    path = blender.ask("path()")
    assert path > 0.001
    blender.click(*blender.find_button(IN_PLACE, across=_SWITCH))
    blender.wait_until("path() < 1e-4", 5)
    for _ in range(4):
        blender.display.run("xdotool", "click", "5")
    blender.click(*blender.find_button(ADD_HANDLE))
    blender.wait_until("armature('sample.001').parent is not None", 5)
    blender.screenshot("takes-cleaned-up")


@pytest.mark.parametrize(("place", "takes"), [("beside", ["sample", "sample.001", "sample.002"]), ("replace", None)])
def test_another_take_goes_where_the_list_says(two_takes: Panel, blender: Blender, place: str, takes: list[str] | None):
    # The panel for videos is open, the list of takes below it.
    two_takes.close()
    chosen = "bpy.context.scene.video_motion_takes.place"
    blender.point(*blender.find_button(PLACE))
    # Blender goes through the choices so, without opening their menu.
    for _ in range(3):
        if blender.ask(f"{chosen}.lower().startswith({place!r})"):
            break
        blender.display.run("xdotool", "keydown", "ctrl")
        blender.display.run("xdotool", "click", "5")
        blender.display.run("xdotool", "keyup", "ctrl")
        blender.redraw_sidebar()
    assert blender.ask(f"{chosen}.lower().startswith({place!r})")
    before = contents(blender)
    ways = blender.ask("[where(one.name) for one in takes()]")
    blender.click_button(IMPORT)
    two_takes.wait_until_ended()
    assert two_takes.problem is None
    blender.screenshot(f"takes-{place}")
    after = blender.ask("state()")["takes"]
    if takes is not None:
        assert after == takes
        assert min(abs(blender.ask("where('sample.002')") - way) for way in ways) > 0.5, "nobody stands in another"
    else:
        assert len(after) == 2
        assert blender.ask("len(bpy.data.actions)") == len(before["actions"]), "nothing of the old one is left"
    undo(blender, lambda: contents(blender) == before, "one undo takes it back")
