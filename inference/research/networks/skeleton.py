"""A first guess of the body's rotations, in closed form, from world landmarks."""

from __future__ import annotations

import torch
from torch import Tensor

from ...body.skeleton import JOINT_NAMES, LANDMARK_NAMES

_SIDES = (("left", 1.0), ("right", -1.0))


def guess(landmarks: Tensor) -> Tensor:
    """(..., 24, 6) global rotations of SMPL's joints from world landmarks (..., 33, 3), in the same axes.

    Bones point along the lines between landmarks. Where that leaves a twist open, limbs are as little twisted against
    the trunk as can be: arms about its vertical axis, legs about its axis from right to left.
    """
    at = {name: landmarks[..., number, :] for number, name in enumerate(LANDMARK_NAMES)}
    hips, shoulders, ears = (_middle(at, part) for part in ("hip", "shoulder", "ear"))
    up = _unit(shoulders - hips)
    frames: dict[str, tuple[Tensor, Tensor]] = {}
    pelvis = _unit(at["left_hip"] - at["right_hip"])
    chest = _unit(at["left_shoulder"] - at["right_shoulder"])
    for name, share in (("pelvis", 0.0), ("spine1", 0.25), ("spine2", 0.6), ("spine3", 1.0), ("neck", 1.0)):
        frames[name] = (_across(pelvis + share * (chest - pelvis), up), up)
    head = _unit(at["left_ear"] - at["right_ear"])
    ahead = _across(at["nose"] - ears, head)
    frames["head"] = (head, torch.linalg.cross(ahead, head))
    for side, sign in _SIDES:
        wrist, elbow, shoulder = (at[f"{side}_{part}"] for part in ("wrist", "elbow", "shoulder"))
        knuckles = (at[f"{side}_index"] + at[f"{side}_pinky"]) / 2
        frames[f"{side}_collar"] = frames["spine3"]
        for joint, bone in (("shoulder", elbow - shoulder), ("elbow", wrist - elbow)):
            along = _unit(sign * bone)
            frames[f"{side}_{joint}"] = (along, _across(up, along))
        along = _unit(sign * (knuckles - wrist))
        palm = _across(at[f"{side}_index"] - at[f"{side}_pinky"], along)
        frames[f"{side}_wrist"] = frames[f"{side}_hand"] = (along, torch.linalg.cross(palm, along))
        hip, knee, ankle = (at[f"{side}_{part}"] for part in ("hip", "knee", "ankle"))
        for joint, bone in (("hip", hip - knee), ("knee", knee - ankle)):
            above = _unit(bone)
            frames[f"{side}_{joint}"] = (_across(pelvis, above), above)
        ahead = _unit(at[f"{side}_foot_index"] - at[f"{side}_heel"])
        aside = _across(pelvis, ahead)
        frames[f"{side}_ankle"] = frames[f"{side}_foot"] = (aside, torch.linalg.cross(ahead, aside))
    return torch.stack([torch.cat(frames[name], dim=-1) for name in JOINT_NAMES], dim=-2)


def _middle(at: dict[str, Tensor], part: str) -> Tensor:
    return (at[f"left_{part}"] + at[f"right_{part}"]) / 2


def _unit(vector: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vector, dim=-1, eps=1e-4)


def _across(vector: Tensor, axis: Tensor) -> Tensor:
    """The part of a vector that is perpendicular to an axis of length 1, of length 1."""
    return _unit(vector - (vector * axis).sum(-1, keepdim=True) * axis)
