"""Reader of clips of the CMU Graphics Lab Motion Capture Database that were gathered by action in one ``.npz``."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ....body import rotations
from .recording import MocapError, Recording, forward

# The joints in the file's order; those of zero offset only rotate.
NAMES = (
    "root",
    *("lhipjoint", "lfemur", "ltibia", "lfoot", "ltoes", "ltoes_end"),
    *("rhipjoint", "rfemur", "rtibia", "rfoot", "rtoes", "rtoes_end"),
    *("lowerback", "upperback", "thorax", "lowerneck", "upperneck", "head", "head_end"),
    *("lclavicle", "lhumerus", "lradius", "lwrist", "lhand", "lfingers", "lfingers_end", "lthumb", "lthumb_end"),
    *("rclavicle", "rhumerus", "rradius", "rwrist", "rhand", "rfingers", "rfingers_end", "rthumb", "rthumb_end"),
)
# A clip that is also among the original ones of subject 02.
_SUBJECTS = {"train_walking/walking_1": "02"}
# More than a pelvis rotates from frame to frame.
_JUMP = np.radians(10.0)
_NEEDED = ("frames", "clip_names", "clip_lengths", "parents", "offsets_m", "expmap_index", "fps", "root_unit_m")


def read_cmu(path: str | Path) -> Iterator[Recording]:
    """Read the clips of a file one after the other.

    A clip's group is its action, with ``_extra`` and the split that the file makes left out; the file does not
    name the subjects. The first frame, a pose before the capture, is left out.

    The root's rotations are repaired: the file combines the root's angles about x, y and z as Z·X·Y instead of CMU's
    Z·Y·X, so that people fall over when they turn away.

    Raises:
        MocapError: the file is missing, damaged, or has another layout.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _NEEDED}
    except KeyError as error:
        raise MocapError(f"{path.name} has no array {error.args[0].split()[0]}: give CMU's clips by action.") from error
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise MocapError(f"{path.name} can't be read as CMU's clips by action: copy it again.") from error
    frames, lengths, columns = arrays["frames"], arrays["clip_lengths"], arrays["expmap_index"]
    parents = tuple(arrays["parents"].tolist())
    if (
        frames.ndim != 2
        or columns.shape != (len(NAMES), 3)
        or arrays["offsets_m"].shape != (len(NAMES), 3)
        or len(parents) != len(NAMES)
        or columns.max() >= frames.shape[1]
        or lengths.sum() != len(frames)
        or len(arrays["clip_names"]) != len(lengths)
    ):
        raise MocapError(f"{path.name} has other frames than CMU's clips by action: copy it again.")
    starts = np.cumsum(lengths) - lengths
    for name, start, length in zip(arrays["clip_names"].tolist(), starts, lengths, strict=True):
        clip = frames[start + 1 : start + length].astype(np.float64)
        if not np.isfinite(clip).all():
            raise MocapError(f"{path.name} has values that are not finite in {name}: copy it again.")
        # The file's row vectors rotate the other way.
        local = rotations.axis_angle_to_matrix(-clip[:, columns])
        local[:, 0] = _repaired(local[:, 0])
        offsets = arrays["offsets_m"].astype(np.float64)
        global_rotations, positions = forward(parents, offsets, local, clip[:, :3] * float(arrays["root_unit_m"]))
        group = _SUBJECTS.get(name) or _action(name)
        yield Recording(name, group, float(arrays["fps"]), NAMES, parents, offsets, global_rotations, positions)


def _repaired(root: np.ndarray) -> np.ndarray:
    """Rotations Z·Y·X (N, 3, 3) from Z·X·Y of the same angles.

    Two sets of angles give the same Z·X·Y. At the start the original is taken to be the one whose angle about y is
    below 90°; where the original passes 90°, the other one continues without a jump.
    """
    x = np.arcsin(np.clip(root[:, 2, 1], -1.0, 1.0))
    y = np.arctan2(-root[:, 2, 0], root[:, 2, 2])
    z = np.arctan2(-root[:, 0, 1], root[:, 1, 1])
    both = np.stack([_about(2, z) @ _about(1, side * y) @ _about(0, side * x) for side in (1.0, -1.0)], axis=1)
    jumps = rotations.relative_angle(both[:-1, :, None], both[1:, None, :])
    chosen = [int(abs(y[0]) > np.pi / 2)]
    for jump in jumps:
        here, there = chosen[-1], 1 - chosen[-1]
        chosen.append(there if jump[here, here] > _JUMP and jump[here, there] < jump[here, here] else here)
    return both[np.arange(len(both)), chosen]


def _about(axis: int, angles: np.ndarray) -> np.ndarray:
    return rotations.axis_angle_to_matrix(angles[:, None] * np.eye(3)[axis])


def _action(name: str) -> str:
    family = name.rpartition("/")[0] or name
    return family.removeprefix("train_").removeprefix("test_").removesuffix("_extra")
