"""What is measured on a face picture for steering: dlib's 68 landmarks, patch colours, an identity embedding."""

from __future__ import annotations

from pathlib import Path

import cv2
import dlib
import numpy as np
import onnxruntime as ort

from streamfilter.structures import Floats, Image

PATCHES = 5  # left cheek, right cheek, forehead, nose bridge, chin
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)


class DlibTeacher:
    """dlib's frontal detector and 68-point predictor."""

    def __init__(self, predictor: Path) -> None:
        self._detect = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(str(predictor))

    def __call__(self, image: Image) -> Floats | None:
        """Landmarks (68, 2) of the largest face of an (H, W, 3) RGB picture, or None."""
        boxes = self._detect(image, 0)
        if not boxes:
            return None
        shape = self._predict(image, max(boxes, key=lambda box: box.area()))
        return np.array([(p.x, p.y) for p in shape.parts()], np.float32)


def five_points(landmarks: Floats) -> Floats:
    """Eyes, nose tip and mouth corners (5, 2) of 68 landmarks."""
    eyes = np.stack([landmarks[36:42].mean(0), landmarks[42:48].mean(0)])
    return np.concatenate([eyes, landmarks[[30, 48, 54]]]).astype(np.float32)


class Embedder:
    """Identity embedding, unit length, of an ONNX recogniser that takes 112 px ArcFace crops."""

    def __init__(self, path: Path, mean: float, scale: float) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._name = self._session.get_inputs()[0].name
        self._mean, self._scale = mean, scale

    def __call__(self, image: Image, landmarks: Floats) -> Floats:
        """Embedding of the face with these (68, 2) landmarks in an RGB picture."""
        matrix, _ = cv2.estimateAffinePartial2D(five_points(landmarks), ARCFACE_POINTS, method=cv2.LMEDS)
        crop = cv2.warpAffine(image, matrix, (112, 112)).astype(np.float32)
        blob = ((crop - self._mean) * self._scale).transpose(2, 0, 1)[None]
        vector = self._session.run(None, {self._name: blob})[0].ravel()
        return np.asarray(vector / np.linalg.norm(vector), np.float32)


def patch_colours(image: Image, landmarks: Floats) -> Floats:
    """Mean RGB in [-1, 1] of five skin patches, (15,): cheeks, forehead, nose bridge, chin."""
    brows = landmarks[17:27].mean(0)
    up = landmarks[27] - landmarks[8]
    centres = (
        (landmarks[2] + landmarks[31] + landmarks[40]) / 3,
        (landmarks[14] + landmarks[35] + landmarks[47]) / 3,
        brows + up * 0.18,
        landmarks[28],
        landmarks[57] * 0.45 + landmarks[8] * 0.55,
    )
    radius = max(1.0, float(np.hypot(*up)) * 0.045)
    colours = [_disc_mean(image, centre, radius) for centre in centres]
    return (np.concatenate(colours) / 127.5 - 1).astype(np.float32)


def _disc_mean(image: Image, centre: Floats, radius: float) -> Floats:
    height, width = image.shape[:2]
    x0, y0 = np.maximum(np.floor(centre - radius).astype(int), 0)
    x1, y1 = np.ceil(centre + radius).astype(int) + 1
    patch = image[min(y0, height - 1) : max(y1, 1), min(x0, width - 1) : max(x1, 1)]
    return np.asarray(patch.reshape(-1, 3).mean(0), np.float32)
