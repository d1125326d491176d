"""The footage in renders, and people's shadows on it.

A card that only the camera sees stands far behind everything and fills its view with the video. The floor shows nothing
but shadows. In Cycles it is a shadow catcher, behind which the world is seen and no card, so that a copy of the scene's
world shows the video to the camera, too. In EEVEE, which has no catchers, the floor's material is as opaque as it is
darker than the sun would make it.
"""

from __future__ import annotations

import math

import bpy
import numpy as np

from ..compatibility import channels_of, new_channels
from .camera import CAMERA_AXES
from .keyframes import CONSTANT, OURS, read_keys, write_curve
from .lights import ELEVATION, ENERGY, create_sun

PLATE = "footage"
"""The card's name after that of its take."""

_VIEW = "video_motion_view"
"""Custom property of a scene that shows footage in renders: its view transform before. Cards have it, too."""

_WORLD = "video_motion_world"
"""Custom property of a card: the world that shows the footage; and of that: the world that it was copied from."""

_OFFSET = "background_images[0].image_user.frame_offset"
_DEFAULT_ENERGY, _DEFAULT_PLACE = 1000.0, (4.0762, 1.0055, 5.9039)
_TRUE_COLOURS = "Standard"
_SHARE_OF_DEPTH = 0.9
_SHADOW, _SHADE = 0.6, 0.2
"""How dark EEVEE's shadows are, 0 to 1, and the share of the sun's light that reaches them."""


def plate_of(collection: bpy.types.Collection) -> bpy.types.Object | None:
    """The card that shows a take's footage in renders, None where it is not shown there."""
    return next((one for one in collection.all_objects if one.type == "MESH" and _VIEW in one), None)


def can_show(camera: bpy.types.Object | None) -> bool:
    """Whether there is footage behind a camera's view."""
    return camera is not None and any(one.image is not None for one in camera.data.background_images)


def show_in_renders(
    collection: bpy.types.Collection,
    camera: bpy.types.Object,
    floor: bpy.types.Object | None,
    scene: bpy.types.Scene,
    sides: tuple[float, float],
) -> bpy.types.Object:
    """Let renders of a take show the footage behind its camera's view, with shadows on the floor, in true colours.

    A scene without a sun gets one, in the take, in place of the light that every new file has.

    Args:
        collection: the take.
        camera: its camera, with the footage behind its view.
        floor: its floor, if it has one.
        scene: that renders it.
        sides: width and height of the view, in any unit.
    """
    name = f"{collection.name} {PLATE}"
    plate = bpy.data.objects.new(name, _card(name, sides[1] / sides[0]))
    plate[OURS] = plate[_VIEW] = True
    plate.data.materials.append(_footage_material(name, camera))
    plate.hide_viewport = True
    for rays in ("diffuse", "glossy", "transmission", "volume_scatter", "shadow"):
        setattr(plate, f"visible_{rays}", False)
    collection.objects.link(plate)
    plate.parent = camera
    _fill_view(plate, camera.data)
    if not any(one.type == "LIGHT" and one.data.type == "SUN" for one in scene.objects):
        _hide_default_light(scene)
        collection.objects.link(create_sun(f"{collection.name} sun", np.array(camera.matrix_world) @ CAMERA_AXES))
    if floor is not None:
        _catch_shadows(floor.data.materials[0])
    plate[_WORLD] = _world(name, camera, scene)
    use_world(plate, scene)
    if _VIEW not in scene:
        scene[_VIEW] = scene.view_settings.view_transform
    scene.view_settings.view_transform = _TRUE_COLOURS
    return plate


def hide_in_renders(collection: bpy.types.Collection, floor: bpy.types.Object | None, scene: bpy.types.Scene) -> None:
    """Undo `show_in_renders`; the scene's colours come back with the last of its takes, a sun stays."""
    plate = plate_of(collection)
    if plate is None:
        return
    material, world = plate.data.materials[0], plate[_WORLD]
    if scene.world == world:
        scene.world = world.get(_WORLD)
    animations = [one.node_tree.animation_data for one in (material, world)]
    actions = [one.action for one in animations if one is not None and one.action is not None]
    bpy.data.batch_remove([plate, plate.data, material, world, *actions])
    if floor is not None:
        floor.data.materials[0].use_nodes = False
    if _VIEW in scene and not any(_VIEW in one for one in scene.objects):
        scene.view_settings.view_transform = scene[_VIEW]
        del scene[_VIEW]


def refresh_plate(collection: bpy.types.Collection, camera: bpy.types.Object) -> None:
    """Let renders show what has become the footage behind the view of a take's camera, if they show it."""
    plate = plate_of(collection)
    if plate is None:
        return
    for tree in (plate.data.materials[0].node_tree, plate[_WORLD].node_tree):
        picture = tree.nodes[PLATE]
        picture.image = camera.data.background_images[0].image
        animation = tree.animation_data
        old = animation.action if animation is not None else None
        if old is not None:
            animation.action = None
            bpy.data.actions.remove(old)
        _follow_frames(tree, camera.data)


def _hide_default_light(scene: bpy.types.Scene) -> None:
    """Let renders do without a new file's light, if nothing was done to it: it would brighten the shade."""
    light = scene.objects.get("Light")
    if light is None or light.type != "LIGHT" or light.data.type != "POINT" or light.animation_data is not None:
        return
    if light.data.energy == _DEFAULT_ENERGY and np.allclose(light.location, _DEFAULT_PLACE, atol=1e-3):
        light.hide_render = True


def use_world(plate: bpy.types.Object, scene: bpy.types.Scene) -> None:
    """Let a scene have the world that shows a card's footage."""
    scene.world = plate[_WORLD]


def _world(name: str, camera: bpy.types.Object, scene: bpy.types.Scene) -> bpy.types.World:
    """A copy of a scene's world in which the camera sees the footage, in Cycles alone."""
    before = scene.world
    if before is not None and _WORLD in before:
        before = before[_WORLD]
    world = bpy.data.worlds.new(name) if before is None else before.copy()
    world.name = name
    world[_WORLD] = before
    world.use_nodes = True
    tree = world.node_tree
    lights = next((one for one in tree.nodes if one.type == "OUTPUT_WORLD" and one.is_active_output), None)
    window, centred, path, shine, mixed, output = (
        tree.nodes.new(f"ShaderNode{kind}")
        for kind in ("TexCoord", "VectorMath", "LightPath", "Background", "MixShader", "OutputWorld")
    )
    centred.operation = "SUBTRACT"
    centred.inputs[1].default_value = (0.5, 0.5, 0.0)
    tree.links.new(window.outputs["Window"], centred.inputs[0])
    tree.links.new(_footage_nodes(tree, centred.outputs["Vector"], camera), shine.inputs["Color"])
    tree.links.new(path.outputs["Is Camera Ray"], mixed.inputs["Fac"])
    if lights is not None and lights.inputs["Surface"].links:
        lights.target = "EEVEE"
        tree.links.new(lights.inputs["Surface"].links[0].from_socket, mixed.inputs[1])
    tree.links.new(shine.outputs["Background"], mixed.inputs[2])
    tree.links.new(mixed.outputs["Shader"], output.inputs["Surface"])
    output.target = "CYCLES"
    return world


def _card(name: str, height: float) -> bpy.types.Mesh:
    """A rectangle of width 1 around the origin, with coordinates around 0 for the picture."""
    data = bpy.data.meshes.new(name)
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    data.from_pydata([(x, y * height, 0.0) for x, y in corners], [], [(0, 1, 2, 3)])
    data.uv_layers.new(name="Picture").data.foreach_set("uv", corners.ravel())
    return data


def _fill_view(plate: bpy.types.Object, data: bpy.types.Camera) -> None:
    """Keep a card just within the depth that a camera sees, as wide as its view there, also where the lens changes."""
    depth = f"{_SHARE_OF_DEPTH} * clip_end"
    width = f"{depth} * sensor_width / lens"
    paths = {
        ("location", 0): f"{width} * shift_x",
        ("location", 1): f"{width} * shift_y",
        ("location", 2): f"-{depth}",
        **{("scale", axis): width for axis in range(3)},
    }
    for (path, axis), expression in paths.items():
        driver = plate.driver_add(path, axis).driver
        driver.type = "SCRIPTED"
        for name in ("clip_end", "sensor_width", "lens", "shift_x", "shift_y"):
            if name in expression:
                variable = driver.variables.new()
                variable.name = name
                variable.targets[0].id_type = "CAMERA"
                variable.targets[0].id = data
                variable.targets[0].data_path = name
        driver.expression = expression


def _footage_material(name: str, camera: bpy.types.Object) -> bpy.types.Material:
    """A material that shines as what is behind a camera's view does, at each frame of the scene."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    place, shine, output = (tree.nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "Emission", "OutputMaterial"))
    tree.links.new(_footage_nodes(tree, place.outputs["UV"], camera), shine.inputs["Color"])
    tree.links.new(shine.outputs["Emission"], output.inputs["Surface"])
    return material


def _footage_nodes(
    tree: bpy.types.NodeTree, place: bpy.types.NodeSocket, camera: bpy.types.Object
) -> bpy.types.NodeSocket:
    """The colour of what is behind a camera's view, by a place in it that is 0 in the middle and 1 wide and high."""
    backdrop = camera.data.background_images[0]
    turn, picture = tree.nodes.new("ShaderNodeMapping"), tree.nodes.new("ShaderNodeTexImage")
    turn.inputs["Location"].default_value = (0.5, 0.5, 0.0)
    picture.name, picture.image, picture.extension = PLATE, backdrop.image, "EXTEND"
    user, like = picture.image_user, backdrop.image_user
    for setting in ("frame_start", "frame_duration", "use_auto_refresh"):
        setattr(user, setting, getattr(like, setting))
    tree.links.new(place, turn.inputs["Vector"])
    tree.links.new(turn.outputs["Vector"], picture.inputs["Vector"])
    _follow_frames(tree, camera.data)
    _turn_alike(turn, camera.data)
    return picture.outputs["Color"]


def _follow_frames(tree: bpy.types.NodeTree, data: bpy.types.Camera) -> None:
    """Show the frames that the first picture behind a camera's view shows."""
    like = data.background_images[0].image_user
    tree.nodes[PLATE].image_user.frame_offset = like.frame_offset
    channels = channels_of(data)
    curve = channels.fcurves.find(_OFFSET) if channels is not None else None
    if curve is not None:
        keys = read_keys(curve)
        action, own = new_channels(tree, f"{data.name} {PLATE} rendered")
        action[OURS] = True
        path = f'nodes["{PLATE}"].image_user.frame_offset'
        write_curve(own, path, 0, keys[:, 0], keys[:, 1], interpolation=CONSTANT)


def _turn_alike(turn: bpy.types.Node, data: bpy.types.Camera) -> None:
    """Turn a picture as that behind a camera's view is turned."""
    for curve in data.animation_data.drivers if data.animation_data is not None else ():
        if curve.data_path.endswith("rotation"):
            driver = turn.inputs["Rotation"].driver_add("default_value", 2).driver
            driver.type = "SCRIPTED"
            for variable in curve.driver.variables:
                same, target = driver.variables.new(), variable.targets[0]
                same.name = variable.name
                same.targets[0].id_type, same.targets[0].id = target.id_type, target.id
                same.targets[0].data_path = target.data_path
            driver.expression = curve.driver.expression


def _catch_shadows(material: bpy.types.Material) -> None:
    """Let a floor's material show nothing but shadows in EEVEE; Cycles' catcher needs no material."""
    material.use_nodes = True
    material.surface_render_method = "BLENDED"
    tree = material.node_tree
    tree.nodes.clear()
    lit, seen, darker, clear, dark, mixed, output, cycles = (
        tree.nodes.new(f"ShaderNode{kind}")
        for kind in (
            "BsdfDiffuse",
            "ShaderToRGB",
            "MapRange",
            "BsdfTransparent",
            "Emission",
            "MixShader",
            "OutputMaterial",
            "OutputMaterial",
        )
    )
    output.target, cycles.target = "EEVEE", "CYCLES"
    lit.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    dark.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    # From a little light, which reaches the shade, too, to what the sun gives a white floor.
    full = ENERGY * math.sin(ELEVATION) / math.pi
    darker.inputs["From Min"].default_value, darker.inputs["From Max"].default_value = _SHADE * full, 0.9 * full
    darker.inputs["To Min"].default_value, darker.inputs["To Max"].default_value = _SHADOW, 0.0
    tree.links.new(lit.outputs["BSDF"], seen.inputs["Shader"])
    tree.links.new(seen.outputs["Color"], darker.inputs["Value"])
    tree.links.new(darker.outputs["Result"], mixed.inputs["Fac"])
    tree.links.new(clear.outputs["BSDF"], mixed.inputs[1])
    tree.links.new(dark.outputs["Emission"], mixed.inputs[2])
    tree.links.new(mixed.outputs["Shader"], output.inputs["Surface"])
    tree.links.new(lit.outputs["BSDF"], cycles.inputs["Surface"])
