"""Tasks of a free body on a flat floor that are one task, looked at from different sides.

Physics on a flat floor is the same in every direction. Who runs along a heading, and who looks at the world turned so
that the heading is its x axis, cannot tell which heading it is. Turning an observation is a linear map: it turns the
torso's orientation, a quaternion, and its velocity in the plane; joints, heights and rates about the body's own axes
stay as they are.

The simulator keeps to this where a contact's friction pyramid turns with the body, as under the capsules of an ant's
feet. Under a sphere, as the humanoid's feet are, the pyramid stands along the world's axes, and sliding differs a
little from side to side: there the frames are nearly one task, no more.
"""

import math

import numpy as np

from benchmark.families.family import Array


def headings(angles: Array) -> Array:
    """(cos, sin) of each angle (...,) as (..., 2).

    From the C library: NumPy's depend on the processor in the last bit.
    """
    flat = [(math.cos(angle), math.sin(angle)) for angle in np.ravel(angles)]
    return np.array(flat).reshape(*np.shape(angles), 2)


def unit(quaternion: Array) -> Array:
    """The quaternion (4,) divided by its length.

    The length is summed here, term by term: a library's sum depends on the processor in its last bit, and an initial
    state that differs there is soon another episode.
    """
    w, x, y, z = map(float, quaternion)
    return quaternion / math.sqrt(w * w + x * x + y * y + z * z)


def plane_turn(angle: float) -> Array:
    """Matrix R (2, 2) with which places (x, y) R are the places turned about the origin by minus `angle`."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def torso_turn(angle: float, size: int, orientation: int, velocity: int) -> Array:
    """Matrix M (size, size) with which observations o M are those of a world turned by minus `angle`, in radians.

    `orientation`: where the torso's quaternion (w, x, y, z) begins, `velocity`: its velocity (x, y). `angle` is
    taken from (-pi, pi], so that w of an upright body that looks along x, (1, 0, 0, 0), becomes no less than 0. At pi
    there is a cut: on its two sides a world has nearly the same orientation in quaternions of opposite signs.
    """
    half = -(np.pi - (np.pi - angle) % (2 * np.pi)) / 2
    cos, sin = math.cos(half), math.sin(half)
    matrix = np.eye(size)
    matrix[orientation : orientation + 4, orientation : orientation + 4] = [
        [cos, 0, 0, sin],
        [0, cos, sin, 0],
        [0, -sin, cos, 0],
        [-sin, 0, 0, cos],
    ]
    matrix[velocity : velocity + 2, velocity : velocity + 2] = plane_turn(angle)
    return matrix
