"""What panels, operators and importers share of Blender's interface."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import bpy

from ..inference.errors import VideoMotionError, reason, sentence

TAB = "Video Motion"
"""The tab of the 3D view's sidebar that holds the add-on's panels."""

_MARGIN, _PIXELS_PER_CHARACTER = 50.0, 7.2
_SHORTEST_LINE = 12
_SEPARATORS = "/\\_-.,:"


class SidebarPanel:
    """Base of every panel in the 3D view's sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = TAB


def use_two_columns(layout: bpy.types.UILayout) -> None:
    """Lay out properties as Blender usually does: names on the left, values on the right, no keyframe dots."""
    layout.use_property_split = True
    layout.use_property_decorate = False


def draw_known(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, name: str, active: bool = True) -> None:
    """Draw a number of ``settings`` that may be unknown with its switch, whose name begins with ``knows_``."""
    row = layout.row(heading=settings.bl_rna.properties[name].name, align=True)
    row.active = active
    row.prop(settings, f"knows_{name}", text="")
    if getattr(settings, f"knows_{name}"):
        row.prop(settings, name, text="")
    else:
        row.label(text="Automatic")


def draw_choice(layout: bpy.types.UILayout, owner: bpy.types.bpy_struct, name: str) -> None:
    """Draw the values of an enumeration side by side over the whole width, without its name."""
    row = layout.row()
    row.use_property_split = False
    row.prop(owner, name, expand=True)


def draw_text(layout: bpy.types.UILayout, text: str, characters: int, icon: str = "NONE") -> None:
    """Draw a text wrapped to lines of at most ``characters``; Blender's own labels do not wrap."""
    lines = layout.column(align=True)
    lines.scale_y = 0.8
    for number, line in enumerate(wrapped(text, max(characters, _SHORTEST_LINE))):
        lines.label(text=line, icon=icon if number == 0 or icon == "NONE" else "BLANK1")


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters; a word that is longer, such as a path, is broken after separators."""
    lines = [""]
    for word in text.split():
        while len(lines[-1]) + bool(lines[-1]) + len(word) > width:
            room = max(width - len(lines[-1]) - bool(lines[-1]), 0)
            cut = max(word.rfind(sign, 0, room) for sign in _SEPARATORS) + 1 if len(word) > width else 0
            if cut < 2:
                if lines[-1]:
                    lines.append("")
                    continue
                cut = width
            lines[-1] = f"{lines[-1]} {word[:cut]}".lstrip()
            lines.append("")
            word = word[cut:]
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines


def characters_per_line(context: bpy.types.Context) -> int:
    """Return how many characters fit into a line of the region that is being drawn."""
    width = context.region.width / context.preferences.system.ui_scale
    return int((width - _MARGIN) / _PIXELS_PER_CHARACTER)


def redraw() -> None:
    """Redraw every sidebar and preferences window."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()
            elif area.type == "VIEW_3D":
                # Not the view itself, which takes long in a large scene.
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def is_over_3d_view(context: bpy.types.Context) -> bool:
    """Whether the mouse is over a 3D view, where files may be dropped."""
    return context.area is not None and context.area.type == "VIEW_3D"


def menu_entry(operator: str, text: str) -> Callable[[bpy.types.Menu, bpy.types.Context], None]:
    """Return a function that draws an operator's entry, to be appended to a menu."""

    def draw(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
        menu.layout.operator(operator, text=text)

    return draw


def select_only(context: bpy.types.Context, objects: Sequence[bpy.types.Object]) -> None:
    """Select exactly ``objects``, of those in the view layer, and make the last of them active."""
    layer = context.view_layer
    for other in list(layer.objects.selected):
        other.select_set(False)
    for one in objects:
        if one.name in layer.objects:
            one.select_set(True)
            layer.objects.active = one


def reports_errors(execute: Callable[[Any, bpy.types.Context], set[str]]) -> Callable[..., set[str]]:
    """Make an operator's ``execute`` report errors that a user can mend, and return CANCELLED for them."""

    @functools.wraps(execute)
    def wrapper(self: Any, context: bpy.types.Context) -> set[str]:
        try:
            return execute(self, context)
        except (VideoMotionError, OSError) as error:
            self.report({"ERROR"}, sentence(error, getattr(self, "filepath", "")))
            return {"CANCELLED"}

    return wrapper


def operator_message(error: Exception) -> str:
    """Return the message of an exception from a `bpy.ops` operator, without a traceback, as `errors.reason` does.

    Raises:
        KeyboardInterrupt: the operator was interrupted.
    """
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Location: ")]
    said = lines[-1:] if any("Traceback" in line for line in lines) else lines
    if said == ["KeyboardInterrupt"]:
        raise KeyboardInterrupt from error
    message = " ".join(said).strip().removeprefix("Error: ")
    return reason(message) if message else type(error).__name__
