"""VRM characters: glTF files that declare which node is which bone of a human."""

from __future__ import annotations

import json
import struct
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.props import StringProperty
from bpy_extras.io_utils import ImportHelper

from ...inference.errors import VideoMotionError
from ..interface import menu_entry, operator_message, reports_errors
from ..retarget.bones import CHAINS, NEEDED, SIDES, SLOTS
from ..retarget.mapping import BoneMapping
from ..retarget.properties import choose_mapping
from .gltf import check_nodes

_CENTRAL = {
    "hips": "hips",
    "spine": "spine",
    "chest": "spine",
    "upperChest": "spine",
    "neck": "neck",
    "head": "head",
}
_PAIRED = {
    "Shoulder": "clavicle",
    "UpperArm": "upper_arm",
    "LowerArm": "forearm",
    "Hand": "hand",
    "UpperLeg": "thigh",
    "LowerLeg": "shin",
    "Foot": "foot",
    "Toes": "toe",
    # Thumbs are a proximal, an intermediate and a distal bone in VRM 0; a metacarpal, a proximal and a distal in VRM 1.
    "ThumbMetacarpal": "thumb",
    **{
        f"{finger}{part}": slot
        for finger, slot in (
            ("Thumb", "thumb"),
            ("Index", "index"),
            ("Middle", "middle"),
            ("Ring", "ring"),
            ("Little", "pinky"),
        )
        for part in ("Proximal", "Intermediate", "Distal")
    },
}
PARTS = {**_CENTRAL, **{f"{side}{name}": f"{side}_{part}" for side in SIDES for name, part in _PAIRED.items()}}
"""The slot of each bone of VRM's human, from the hips upwards and from the palm outwards."""

_HEADER, _CHUNK = struct.Struct("<4sII"), struct.Struct("<I4s")
# The largest known JSON of a character has about 5 MB.
_MOST_JSON = 128 << 20


class VrmError(VideoMotionError):
    """A file is no VRM character."""


@dataclass
class ImportedCharacter:
    """A character from a VRM file.

    Attributes:
        armature: with most of the human's bones.
        mapping: of its bones; None where the file declares none and names are used.
        warnings: sentences for the user.
    """

    armature: bpy.types.Object
    mapping: BoneMapping | None
    warnings: list[str] = field(default_factory=list)


def import_vrm(path: Path) -> ImportedCharacter:
    """Import a VRM file with Blender's importer of glTF, and find which bones are the human's.

    Raises:
        VrmError: the file is no VRM, is damaged, or holds no armature.
    """
    content, binary = _read(path)
    try:
        nodes = check_nodes(content)
    except ValueError as error:
        raise VrmError(f"{path} is damaged, its nodes form no skeleton: export or download it again.") from error
    _check_alone(content, path)
    human, why = human_bones(content)
    warnings = (
        [f"{path.name} does not say which bone is which ({why}): they are recognised by their names."] if why else []
    )
    # The importer renames nodes with duplicate or missing names: give them unique names meanwhile.
    mark = uuid.uuid4().hex
    names = {node: nodes[node].get("name") for node in human.values()}
    for node in names:
        nodes[node]["name"] = f"{mark} {node}"
    _remove_extensions(content)
    if human and not why:
        _ensure_skin(content, list(human.values()))
    before = set(bpy.data.objects)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{path.stem}.glb"
        try:
            copy.write_bytes(_packed(content, binary))
            bpy.ops.import_scene.gltf(filepath=str(copy), disable_bone_shape=True)
        except OSError as error:
            raise VrmError(f"{path} can't be read ({error.strerror or error}): check the temporary folder.") from error
        except AttributeError as error:
            raise VrmError(f"{path} can't be read: enable the add-on glTF 2.0 format in the preferences.") from error
        except RuntimeError as error:
            _remove(before)
            said = operator_message(error)
            raise VrmError(
                f"{path} can't be read (Blender's glTF importer says: {said}): export or download it again."
            ) from error
    new = [one for one in bpy.data.objects if one not in before]
    armatures = [one for one in new if one.type == "ARMATURE"]
    if not armatures:
        _remove(before)
        raise VrmError(f"{path} holds no armature: give the file of a character with bones.")
    marked = {f"{mark} {node}": node for node in names}
    armature = max(armatures, key=lambda one: (sum(b.name in marked for b in one.data.bones), len(one.data.bones)))
    found = {}
    for one in armatures:
        for bone in one.data.bones:
            if bone.name in marked:
                node = marked[bone.name]
                bone.name = names[node] or f"Node_{node}"
                if one == armature:
                    found[node] = bone.name
    for one in new:
        if one.name in marked:
            one.name = names[marked[one.name]] or f"Node_{marked[one.name]}"
    if why:
        return ImportedCharacter(armature, None, warnings)
    mapping = _mapping({bone: found[node] for bone, node in human.items() if node in found})
    if any(slot not in mapping.bones for slot in NEEDED):
        warnings.append(f"{path.name} has no bones where it declares the human's: they are recognised by their names.")
        return ImportedCharacter(armature, None, warnings)
    return ImportedCharacter(armature, mapping, warnings)


def _remove(before: set[bpy.types.Object]) -> None:
    """Remove all objects but those that were there before."""
    for one in [one for one in bpy.data.objects if one not in before]:
        bpy.data.objects.remove(one)


def human_bones(content: dict[str, Any]) -> tuple[dict[str, int], str]:
    """The node of each of VRM's bones, and why they can't be used; empty where they can.

    Args:
        content: the file's JSON, whose ``nodes`` are a list; nothing else is assumed.
    """
    extensions = content.get("extensions")
    extensions = extensions if isinstance(extensions, dict) else {}
    declared: list[tuple[str, object]] = []
    for name in ("VRMC_vrm", "VRM"):
        extension = extensions.get(name)
        humanoid = extension.get("humanoid") if isinstance(extension, dict) else None
        bones = humanoid.get("humanBones") if isinstance(humanoid, dict) else None
        # A table by name in VRM 1, a list in VRM 0.
        if isinstance(bones, dict):
            declared = [(bone, entry.get("node")) for bone, entry in bones.items() if isinstance(entry, dict)]
        elif isinstance(bones, list):
            declared = [(str(entry.get("bone")), entry.get("node")) for entry in bones if isinstance(entry, dict)]
        if declared:
            break
    else:
        return {}, "it has no human bones of VRM"
    human: dict[str, int] = {}
    for bone, node in declared:
        # bool is a subclass of int.
        if not isinstance(node, int) or isinstance(node, bool) or not 0 <= node < len(content["nodes"]):
            continue
        if bone in PARTS and bone not in human and node not in human.values():
            human[bone] = node
    missing = [bone for bone, slot in PARTS.items() if slot in NEEDED and bone not in human]
    return human, f"it has no {missing[0]}" if missing else ""


def _remove_extensions(content: dict[str, Any]) -> None:
    """Remove VRM's extensions from a file's JSON: the importer refuses extensions that it does not support."""
    for name, kind in (("extensions", dict), ("extensionsRequired", list), ("extensionsUsed", list)):
        given = content.pop(name, None)
        if not isinstance(given, kind):
            continue
        kept = [one for one in given if isinstance(one, str) and not one.startswith("VRM")]
        content[name] = {one: given[one] for one in kept} if isinstance(given, dict) else kept


def _ensure_skin(content: dict[str, Any], joints: list[int]) -> None:
    """Declare the human's nodes as joints where no skin does: the importer makes bones of joints only."""
    skins = content.get("skins")
    skins = skins if isinstance(skins, list) else []
    declared = {
        joint
        for skin in skins
        if isinstance(skin, dict) and isinstance(skin.get("joints"), list)
        for joint in skin["joints"]
        if isinstance(joint, int)
    }
    if not declared & set(joints):
        content["skins"] = [*skins, {"joints": joints}]


def _mapping(bones: dict[str, str]) -> BoneMapping:
    """The mapping for the names of VRM's bones that an armature has."""
    mapping = BoneMapping(family="VRM")
    for bone, slot in PARTS.items():
        if bone in bones and slot in SLOTS and (slot in CHAINS or slot not in mapping.bones):
            mapping.put(slot, *mapping.bones.get(slot, ()), bones[bone])
    return mapping


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON of a binary glTF file and all that follows it."""
    damaged = VrmError(f"{path} is no VRM or is damaged: export or download it again.")
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(_HEADER.size + _CHUNK.size)
            if len(start) < _HEADER.size + _CHUNK.size:
                raise damaged
            magic, version, whole = _HEADER.unpack_from(start)
            length, kind = _CHUNK.unpack_from(start, _HEADER.size)
            if magic != b"glTF" or version != 2 or kind != b"JSON" or whole != size:
                raise damaged
            if length > min(size - len(start), _MOST_JSON):
                raise damaged
            text, binary = stream.read(length), stream.read()
        content = json.loads(text)
    except OSError as error:
        raise VrmError(f"{path} can't be read ({error.strerror or error}): check the file.") from error
    except (ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(content, dict):
        raise damaged
    return content, binary


def _check_alone(content: dict[str, Any], path: Path) -> None:
    """Refuse a file that refers to other files, which the importer would read from anywhere."""
    for kind in ("buffers", "images"):
        entries = content.get(kind, [])
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise VrmError(f"{path} is damaged: export or download it again.")
        if any(not str(one["uri"]).startswith("data:") for one in entries if one.get("uri") is not None):
            raise VrmError(f"{path} refers to other files, which a VRM may not: export it again as one file.")


def _packed(content: dict[str, Any], binary: bytes) -> bytes:
    """A binary glTF file."""
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    whole = _HEADER.size + _CHUNK.size + len(text) + len(binary)
    return _HEADER.pack(b"glTF", 2, whole) + _CHUNK.pack(len(text), b"JSON") + text + binary


class ImportVrm(bpy.types.Operator, ImportHelper):
    """Import a VRM character and choose it, with its bones, for retargeting"""

    bl_idname = "video_motion.import_vrm"
    bl_label = "Import VRM Character"
    bl_options: ClassVar[set[str]] = {"UNDO"}

    filename_ext = ".vrm"
    filter_glob: StringProperty(default="*.vrm", options={"HIDDEN"})

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Import, and fill in the panel for retargeting."""
        imported = import_vrm(Path(self.filepath))
        settings = context.scene.video_motion_retarget
        settings.target = imported.armature
        if imported.mapping is not None:
            choose_mapping(settings, context, imported.mapping)
        for warning in imported.warnings:
            self.report({"WARNING"}, warning)
        return {"FINISHED"}


classes: tuple[type, ...] = (ImportVrm,)
menu_entries = (("TOPBAR_MT_file_import", menu_entry(ImportVrm.bl_idname, "VRM Character for Video Motion (.vrm)")),)
