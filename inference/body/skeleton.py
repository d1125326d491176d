"""SMPL's 24 joints, SMPL-H's 52, and BlazePose's 33 landmarks: names and kinematic trees, as data."""

JOINT_NAMES = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
)

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

SIDES = ("left", "right")

BODY_JOINTS = 22
"""SMPL's joints that SMPL-H has too: all but the two hands, the last."""

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
"""In SMPL-H's order."""

FINGER_JOINT_NAMES = tuple(f"{side}_{finger}{number}" for side in SIDES for finger in FINGERS for number in (1, 2, 3))
"""SMPL-H's 30 joints that SMPL lacks."""

FINGER_TIP_NAMES = tuple(f"{side}_{finger}_tip" for side in SIDES for finger in FINGERS)

SMPLH_JOINT_NAMES = (*JOINT_NAMES[:BODY_JOINTS], *FINGER_JOINT_NAMES)

SMPLH_PARENTS = (
    *PARENTS[:BODY_JOINTS],
    *(
        JOINT_NAMES.index(f"{name.split('_')[0]}_wrist") if name.endswith("1") else BODY_JOINTS + number - 1
        for number, name in enumerate(FINGER_JOINT_NAMES)
    ),
)

FINGER_TIP_PARENTS = tuple(SMPLH_JOINT_NAMES.index(name.replace("_tip", "3")) for name in FINGER_TIP_NAMES)
"""Of SMPL-H's joints the last before each tip."""

LANDMARK_NAMES = (
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
)


def _mirror(names: tuple[str, ...]) -> tuple[int, ...]:
    swap = {"left": "right", "right": "left"}
    mirrored = ["_".join(swap.get(word, word) for word in name.split("_")) for name in names]
    return tuple(names.index(name) for name in mirrored)


JOINT_MIRROR = _mirror(JOINT_NAMES)
"""For each joint, the joint of the other side; middle joints are their own."""

FINGER_JOINT_MIRROR = _mirror(FINGER_JOINT_NAMES)
"""For each finger joint, that of the other hand."""

LANDMARK_MIRROR = _mirror(LANDMARK_NAMES)
"""For each landmark, the landmark of the other side."""
