"""Tasks of a free body on a flat floor that are one task, looked at from different sides.

Physics on a flat floor is the same in every direction. Who runs along a heading, and who looks at the world turned so
that the heading is its x axis, cannot tell which heading it is. Turning an observation is a linear map: it turns the
torso's orientation, a quaternion, and its velocity in the plane; joints, heights and rates about the body's own axes
stay as they are.
"""

import numpy as np

from benchmark.families.family import Array


def plane_turn(angle: float) -> Array:
    """Matrix R (2, 2) with which places (x, y) R are the places turned about the origin by minus `angle`."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def torso_turn(angle: float, size: int, orientation: int, velocity: int) -> Array:
    """Matrix M (size, size) with which observations o M are those of a world turned by minus `angle`, in radians.

    `orientation`: where the torso's quaternion (w, x, y, z) begins, `velocity`: its velocity (x, y). A world turned
    by `angle` and by `angle` + 2 pi gives quaternions of opposite signs: `angle` is taken from (-pi, pi].
    """
    half = -(np.pi - (np.pi - angle) % (2 * np.pi)) / 2
    cos, sin = np.cos(half), np.sin(half)
    matrix = np.eye(size)
    matrix[orientation : orientation + 4, orientation : orientation + 4] = [
        [cos, 0, 0, sin],
        [0, cos, sin, 0],
        [0, -sin, cos, 0],
        [-sin, 0, 0, cos],
    ]
    matrix[velocity : velocity + 2, velocity : velocity + 2] = plane_turn(angle)
    return matrix
