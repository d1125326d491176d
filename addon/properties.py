"""Blender properties made of the options of a conversion, so that texts, ranges and defaults stand in one place."""

from __future__ import annotations

from typing import Any

from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from ..inference import options


def property_for(name: str, **changes: Any) -> Any:
    """Return the property for an option of `inference.options`.

    Args:
        name: of the option.
        changes: arguments of Blender's property function that differ from what the option says.

    Raises:
        TypeError: Blender has no property for the option's kind by itself.
    """
    option = options.described(name)
    common: dict[str, Any] = {"name": option.label, "description": _as_description(option.help), "options": set()}
    if option.kind == "bool":
        return BoolProperty(**common | {"default": options.default(name)} | changes)
    if option.kind == "float":
        unset = option.positive and options.default(name) is None
        if unset:
            common["description"] += "; 0 if unknown"
        limits = {"min": 0.0 if unset else option.minimum, "max": option.maximum, "soft_max": option.soft_maximum}
        numbers = {key: value for key, value in limits.items() if value is not None}
        return FloatProperty(**common | numbers | {"default": options.default(name) or 0.0} | changes)
    if option.kind == "path":
        return StringProperty(**common | {"subtype": "FILE_PATH"} | changes)
    if option.kind == "choice" and "items" in changes:
        return EnumProperty(**common | {"default": options.default(name)} | changes)
    if option.kind == "device" and "items" in changes:
        return EnumProperty(**common | changes)
    raise TypeError(f"{name} has no property by itself")


def _as_description(text: str) -> str:
    # Blender ends tooltips with a full stop itself.
    return text[0].upper() + text[1:]
