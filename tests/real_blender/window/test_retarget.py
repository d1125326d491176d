"""Retargeting through its panel: a take onto Rigify's human metarig, as an animator's own character."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .panel import RetargetPanel, key_frames
from .session import Blender, wait_until

pytestmark = pytest.mark.interface

SOURCE, TARGET = "sample person 1", "metarig"
PAIRS = {"left_hip": "thigh.L", "right_knee": "shin.R", "left_shoulder": "upper_arm.L"}
"""Bones of the take and of the metarig that play the same part."""

FAR_DEGREES, FAR_WITH_HELD_FEET = 0.5, 8.0
SECONDS = 30.0

# Pixels from the panel's first button.
SEVERAL, MEND, OFFSET = 74, 431, 380
FOLDED = {"buttons": 57, "hold_feet": 142, "step": 235, "simplify": 258}
TENTH_BONE, LIST_BUTTONS, FINGERS = 313, 405, 463
USE_BONES, ASKED = "video_motion.use_bones(", 110
PREVIEW, BAKE = "video_motion.preview_retarget(", "video_motion.retarget("
LEFT_BUTTON, MIDDLE_BUTTON, NAME, FIRST_OF_THREE = 0.2, 0.51, 0.42, 0.34

_LOOK = """
settings = lambda: bpy.context.scene.video_motion_retarget
preview = lambda: settings().preview is not None

def state(name):
    # All that a preview could leave behind.
    one = bpy.data.objects[name]
    animation = one.animation_data
    rotations = ("rotation_quaternion", "rotation_euler", "rotation_axis_angle")
    return {
        "animation": animation and (animation.action.name if animation.action else None),
        "slot": animation and getattr(getattr(animation, "action_slot", None), "identifier", None),
        "pose": {
            bone.name: [list(getattr(bone, path)) for path in ("location", "scale", *rotations)]
            for bone in one.pose.bones
        },
        "modes": [bone.rotation_mode for bone in one.pose.bones],
        "properties": sorted(one.keys()),
        "actions": sorted(action.name for action in bpy.data.actions),
    }

def direction(name, bone):
    one = bpy.data.objects[name].evaluated_get(bpy.context.evaluated_depsgraph_get())
    posed = one.pose.bones[bone]
    return tuple((one.matrix_world.to_3x3() @ (posed.tail - posed.head)).normalized())

def rows(slot):
    return [(row.bone, row.confidence) for row in settings().rows if row.slot == slot and row.bone]

MESSAGES = "bl_ext.user_default.video_motion.addon.retarget.preview"

def action_of(name):
    animation = bpy.data.objects[name].animation_data
    return animation.action.name if animation and animation.action else None
"""


@pytest.fixture(scope="module", autouse=True)
def _preferences(blenders: list[Blender]) -> Iterator[None]:
    """Leaves the preferences to other tests as they were."""
    yield
    blenders[-1].do("addon_utils.disable('rigify', default_set=True)")


@pytest.fixture
def panel(blender: Blender) -> RetargetPanel:
    """The panel beside a take and a metarig that somebody has posed by hand, without any action."""
    blender.do(_LOOK)
    blender.do(
        "import addon_utils\n"
        "if not addon_utils.check('rigify')[1]:\n"
        "    addon_utils.enable('rigify', default_set=True)\n"
        "for one in list(bpy.data.objects):\n"
        "    bpy.data.objects.remove(one)\n"
        "bpy.ops.video_motion.import_motion(\n"
        "    filepath='/repo/tests/sample/sample.truth.npz', mesh=False, floor=False)\n"
        "bpy.ops.object.armature_human_metarig_add()\n"
        f"posed = bpy.data.objects[{TARGET!r}].pose.bones\n"
        "posed['upper_arm.L'].rotation_mode = 'XYZ'\n"
        "posed['upper_arm.L'].rotation_euler.x = 0.4\n"
        "posed['face'].location.y = 0.01\n"
        "bpy.ops.ed.undo_push(message='Pose')"
    )
    return RetargetPanel(blender)


def test_bones_are_recognised_edited_mirrored_saved_and_loaded(panel: RetargetPanel, blender: Blender, tmp_path: Path):
    panel.choose_rigs(SOURCE, TARGET)
    assert blender.ask("(settings().source.name, settings().target.name)") == [SOURCE, TARGET]
    assert "metarig" in blender.ask("settings().family")
    assert blender.ask("rows('left_clavicle')") == [["shoulder.L", 1.0]]
    blender.screenshot("retarget-chosen")

    # Where names say nothing, the structure tells, which is less sure.
    blender.do(
        f"for index, bone in enumerate(bpy.data.objects[{TARGET!r}].data.bones):\n"
        "    bone.name = f'{bone.name[:-2]} {index}' if bone.name == 'shoulder.R' else f'bone {index}'"
    )
    panel.open_bones()
    blender.click(*panel.find("recognise_bones", LIST_BUTTONS, LEFT_BUTTON))
    ((left, unsure),) = blender.ask("rows('left_clavicle')")
    ((right, _),) = blender.ask("rows('right_clavicle')")
    assert left.startswith("bone")
    assert unsure < 0.95
    blender.screenshot("retarget-unsure")
    # Most are guesses: they are not baked before somebody has looked through them.
    blender.click(*panel.find(USE_BONES, ASKED))
    wait_until(lambda: blender.ask("rows('left_clavicle')") == [[left, 1.0]], 5, "the list is taken as it is")
    panel.find(PREVIEW, FOLDED["buttons"], LEFT_BUTTON)

    panel.choose("rows[9].bone", TENTH_BONE, right, NAME)
    assert blender.ask("rows('left_clavicle')") == [[right, 1.0]]
    left_of_menu, _, right_of_menu, _ = blender.region("UI")
    blender.click(left_of_menu + MIDDLE_BUTTON * (right_of_menu - left_of_menu), panel.top + LIST_BUTTONS)
    blender.screenshot("retarget-mirror")
    blender.key("l")
    wait_until(lambda: blender.ask("rows('right_clavicle')") == [[left, 1.0]], 5, "the right side is the left's mirror")
    panel.open_section(FINGERS)
    blender.screenshot("retarget-crowded")

    file = tmp_path / "mapping.json"
    blender.do(f"bpy.ops.video_motion.save_bone_mapping(filepath={str(file)!r})")
    assert json.loads(file.read_text())["bones"]["left_clavicle"] == [right]
    blender.do("bpy.ops.video_motion.recognise_bones()")
    assert blender.ask("rows('left_clavicle')")[0][0] == left
    blender.do(f"bpy.ops.video_motion.load_bone_mapping(filepath={str(file)!r})")
    assert blender.ask("rows('left_clavicle') + rows('right_clavicle')") == [[right, 1.0], [left, 1.0]]


def test_preview_follows_the_source_and_leaves_nothing(panel: RetargetPanel, blender: Blender, tmp_path: Path):
    _choose_rigs(blender)
    before = _state(blender)
    assert before["animation"] is None
    _click_preview(panel)
    blender.wait_until("preview()", SECONDS)
    # Held feet bend the legs on purpose. The preview follows the choice.
    first = blender.ask("settings().preview.as_pointer()")
    blender.click(*panel.find("hold_feet", FOLDED["hold_feet"]))
    blender.wait_until(f"settings().preview.as_pointer() != {first}", SECONDS)

    blender.point(*_middle_of_view(blender))
    for _ in range(3):
        blender.key("Right")
    assert blender.ask("bpy.context.scene.frame_current") == 4
    seen = [_directions(blender)]
    blender.key("space")
    blender.wait_until("bpy.context.screen.is_animation_playing and bpy.context.scene.frame_current > 14", SECONDS)
    blender.key("space")
    blender.wait_until("not bpy.context.screen.is_animation_playing", 5)
    seen.append(_directions(blender))
    assert _degrees(seen[0]["thigh.L"], seen[1]["thigh.L"]) > FAR_DEGREES, "it moves"
    blender.screenshot("retarget-preview")

    _click_preview(panel)
    blender.wait_until("not preview()", SECONDS)
    assert _state(blender) == before

    _click_preview(panel)
    blender.wait_until("preview()", SECONDS)
    blender.point(*_middle_of_view(blender))
    blender.key("ctrl+z")
    blender.wait_until("not preview()", 5)
    assert _state(blender) == before

    _click_preview(panel)
    blender.wait_until("preview()", SECONDS)
    file = tmp_path / "previewed.blend"
    blender.do(f"bpy.ops.wm.save_as_mainfile(filepath={str(file)!r})")
    blender.do(f"bpy.ops.wm.open_mainfile(filepath={str(file)!r})", area=None)
    assert not blender.ask("preview()")
    assert _state(blender) == before


def test_preview_ends_where_its_rigs_go(panel: RetargetPanel, blender: Blender):
    blender.do(
        "bpy.ops.object.armature_human_metarig_add()\n"
        f"bpy.data.objects[{TARGET!r}].animation_data_create().action = bpy.data.actions.new('own')"
    )
    _choose_rigs(blender)
    own, other = _state(blender), _state(blender, "metarig.001")
    _click_preview(panel)
    blender.wait_until("preview()", SECONDS)
    assert blender.ask(f"action_of({TARGET!r})") != "own"

    # Another character: the first one has its own again, and the second never gets that.
    panel.choose(".target", 26, "metarig.001")
    assert blender.ask("settings().target.name") == "metarig.001"
    wait_until(lambda: blender.ask(f"action_of({TARGET!r})") == "own", 5, "the first has its own action")
    blender.point(*_middle_of_view(blender))
    for keys, chosen in (("ctrl+z", TARGET), ("ctrl+shift+z", "metarig.001")):
        blender.key(keys)
        blender.wait_until(f"settings().target.name == {chosen!r}", 5)
    if blender.ask("preview()"):
        _click_preview(panel)
        blender.wait_until("not preview()", SECONDS)
    assert _state(blender) == own
    assert _state(blender, "metarig.001") == {**other, "actions": own["actions"]}

    for gone in (SOURCE, "metarig.001"):
        if not blender.ask("preview()"):
            _click_preview(panel)
            blender.wait_until("preview()", SECONDS)
        blender.do(f"bpy.ops.object.select_all(action='DESELECT')\nbpy.data.objects[{gone!r}].select_set(True)")
        blender.point(*_middle_of_view(blender))
        blender.key("Delete")
        blender.wait_until(f"{gone!r} not in bpy.context.scene.objects", 5)
        # Buttons are still there, and no choice makes trouble.
        panel.find(".target", 26)
        blender.do("settings().in_place = not settings().in_place")
        blender.redraw()
        blender.screenshot(f"retarget-without-{'source' if gone == SOURCE else 'target'}")
        blender.key("ctrl+z")
        blender.wait_until(f"{gone!r} in bpy.context.scene.objects", 5)


def test_bake_is_one_step_and_is_saved(panel: RetargetPanel, blender: Blender, tmp_path: Path):
    _choose_rigs(blender)
    panel.set_number("retarget.step", FOLDED["step"], "2")
    panel.set_number("retarget.tolerance", FOLDED["simplify"], "0.5")
    assert blender.ask("(settings().step, round(settings().simplify, 4))") == [2.0, 0.5]
    before = _state(blender)
    blender.click(*panel.find(BAKE, FOLDED["buttons"]))
    wait_until(lambda: blender.ask(f"action_of({TARGET!r})"), SECONDS, "there is an action")
    baked = _state(blender)
    blender.screenshot("retarget-baked")
    name = baked["animation"]
    assert baked["actions"] == sorted([*before["actions"], name])
    _check_baked(blender, name)

    blender.point(*_middle_of_view(blender))
    blender.key("ctrl+z")
    wait_until(lambda: _state(blender) == before, 5, "one undo removes it")
    blender.key("ctrl+shift+z")
    wait_until(lambda: _state(blender)["actions"] == baked["actions"], 5, "one redo brings it back")
    file = tmp_path / "baked.blend"
    blender.do(f"bpy.ops.wm.save_as_mainfile(filepath={str(file)!r})")
    blender.start_anew()
    blender.do(f"bpy.ops.wm.open_mainfile(filepath={str(file)!r})", area=None)
    assert blender.ask(f"action_of({TARGET!r})") == name
    _check_baked(blender, name)


def test_selected_characters_get_the_selected_persons_motion(panel: RetargetPanel, blender: Blender):
    blender.do(
        "bpy.ops.object.armature_human_metarig_add()\n"
        f"settings().target = bpy.data.objects[{TARGET!r}]\n"
        f"for name in ({SOURCE!r}, {TARGET!r}, 'metarig.001'):\n"
        "    bpy.data.objects[name].select_set(True)\n"
        "limit = bpy.data.objects['metarig.001'].pose.bones['forearm.L'].constraints.new('LIMIT_ROTATION')\n"
        "limit.use_limit_x = limit.use_limit_y = limit.use_limit_z = True\n"
        "limit.owner_space = 'LOCAL'\n"
        "bpy.ops.ed.undo_push(message='Choice')"
    )
    assert blender.ask("settings().source") is None
    blender.screenshot("retarget-several")
    blender.click(*panel.find("video_motion.retarget_selected(", SEVERAL))
    for name in (TARGET, "metarig.001"):
        wait_until(lambda name=name: blender.ask(f"action_of({name!r})"), SECONDS, f"{name} has an action")
    blender.screenshot("retarget-several-baked")
    blender.do("bpy.context.scene.frame_set(60)")
    _directions(blender, FAR_WITH_HELD_FEET)
    told = blender.ask("[text for text, icon in sys.modules[MESSAGES].messages]")
    assert len(told) == 1
    assert "metarig.001 does not follow everywhere: forearm.L is up to" in told[0]


def test_offsets_and_mended_rest_poses_by_mouse(panel: RetargetPanel, blender: Blender):
    _choose_rigs(blender)
    # The mouse makes Blender draw what a script has changed.
    panel.find(BAKE, FOLDED["buttons"])
    panel.open_bones()
    blender.click(*panel.find("mend_rest", MEND))
    blender.screenshot("retarget-mended")
    kept = json.loads(blender.ask("settings().mapping"))["rest"]
    assert "upper_arm.L" in kept, "it was posed by hand"
    where = panel.find("offset", OFFSET, FIRST_OF_THREE)
    blender.click(*where)
    blender.click(*where)
    blender.key("ctrl+a")
    blender.type("20")
    blender.key("Return")
    blender.screenshot("retarget-offset")
    assert max(blender.ask("list(settings().rows[0].offset)")) == pytest.approx(math.radians(20.0), abs=1e-4)


def _check_baked(blender: Blender, name: str) -> None:
    """Keys are at every second frame at most, fewer than that, and the target moves by them."""
    curves = [frames for frames in key_frames(blender, name) if len(frames) > 1]
    frames = {frame for curve in curves for frame in curve}
    first, last = min(frames), max(frames)
    assert all((frame - first) % 2 == 0 or frame == last for frame in frames)
    assert min(map(len, curves)) < (last - first) / 2
    directions = []
    for frame in (first, last / 2):
        blender.do(f"bpy.context.scene.frame_set({round(frame)})")
        directions.append(blender.ask(f"direction({TARGET!r}, 'thigh.L')"))
    assert _degrees(*directions) > FAR_DEGREES


def _choose_rigs(blender: Blender) -> None:
    """What the first test does by hand."""
    blender.do(
        f"settings().source, settings().target = bpy.data.objects[{SOURCE!r}], bpy.data.objects[{TARGET!r}]\n"
        "bpy.ops.ed.undo_push(message='Choice')"
    )


def _click_preview(panel: RetargetPanel) -> None:
    panel.blender.click(*panel.find(PREVIEW, FOLDED["buttons"], LEFT_BUTTON))


def _state(blender: Blender, name: str = TARGET) -> dict[str, Any]:
    return blender.ask(f"state({name!r})")


def _directions(blender: Blender, far: float = FAR_DEGREES) -> dict[str, list[float]]:
    """Where the target's bones point, which is where the source's do."""
    found = {}
    for source, target in PAIRS.items():
        wanted = blender.ask(f"direction({SOURCE!r}, {source!r})")
        found[target] = blender.ask(f"direction({TARGET!r}, {target!r})")
        assert _degrees(wanted, found[target]) < far, target
    return found


def _degrees(one: list[float], other: list[float]) -> float:
    return math.degrees(2.0 * math.asin(math.dist(one, other) / 2.0))


def _middle_of_view(blender: Blender) -> tuple[float, float]:
    left, top, right, bottom = blender.region("WINDOW")
    return left + (right - left) / 3, (top + bottom) / 2
