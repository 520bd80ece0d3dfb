"""How a head is turned, from dlib's 68 landmarks and a model of a head.

The model: 14 points of the Anthropometric 3D Face Model (P. Martins and J. Batista, ISR, University of Coimbra,
`glAnthropometric3DModel.cpp`), in about centimetres, brought to the axes of a camera: x to the right of the picture, y
down, z away from the camera. A frontal upright head is the identity.

The camera is affine, and fitted by least squares; its two rows are brought to length one each by itself, then made
perpendicular. So a face that is narrower than the model is not taken for one that is turned: with a
perspective camera and one scale (SQPnP), a frontal clip and its result were 19 degrees of yaw apart, so 5 (on photos
6.5 and 4.5; pitch 4.3 and 6.0). Blurring a photo with a sigma of 1 px moves the rotation by 1.8 degrees.
Proportions still count in part. For comparing, not for measuring, heads; angles are those to the line of sight.
"""

from __future__ import annotations

import numpy as np

from streamfilter.structures import Doubles, Floats

POINTS = (17, 21, 22, 26, 36, 39, 42, 45, 31, 35, 48, 54, 57, 8)
LEAST_PX = 1e-3  # a camera whose row is shorter, per unit of the model, sees nothing

# Brows' outer and inner ends, corners of the eyes, sides of the nose, corners of the mouth, lower lip, chin: the right
# half of the picture; the other half is its mirror image.
_BROW_END, _BROW_START = (6.825897, -6.760612, -4.402142), (1.330353, -7.122144, -6.903745)
_EYE_END, _EYE_START = (5.311432, -5.485328, -3.987654), (1.789930, -5.393625, -4.413414)
_NOSE, _MOUTH = (2.005628, -1.409845, -6.165652), (2.774015, 2.080775, -5.048531)
_LIP, _CHIN = (0.0, 3.116408, -6.097667), (0.0, 7.415691, -4.070434)


def _mirrored(point: tuple[float, float, float]) -> tuple[float, float, float]:
    return -point[0], point[1], point[2]


MODEL: Doubles = np.array(
    [_mirrored(_BROW_END), _mirrored(_BROW_START), _BROW_START, _BROW_END]
    + [_mirrored(_EYE_END), _mirrored(_EYE_START), _EYE_START, _EYE_END]
    + [_mirrored(_NOSE), _NOSE, _mirrored(_MOUTH), _MOUTH, _LIP, _CHIN]
)


_FIT: Doubles = np.linalg.pinv(np.concatenate([MODEL, np.ones((len(MODEL), 1))], 1))[:3]


def rotations(landmarks: Floats) -> Doubles:
    """The rotation from the model to each head, (n, 68, 2) -> (n, 3, 3); NaN where there is no face in the points."""
    points = np.asarray(landmarks, np.float64)[:, list(POINTS)]
    camera = (_FIT @ points).swapaxes(1, 2)
    lengths = np.linalg.norm(camera, axis=-1, keepdims=True)
    seen = (np.isfinite(lengths) & (lengths > LEAST_PX)).all((1, 2))
    turns = np.full((len(points), 3, 3), np.nan)
    if seen.any():
        # The nearest two perpendicular rows (Procrustes).
        left, _, right = np.linalg.svd(camera[seen] / lengths[seen], full_matrices=False)
        rows = left @ right
        turns[seen] = np.concatenate([rows, np.cross(rows[:, :1], rows[:, 1:])], 1)
    return turns
