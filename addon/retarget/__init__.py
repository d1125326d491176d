"""Retargeting: the motion of one armature on any other humanoid armature."""
