"""The recognisers of an audit, each with its calibration; none without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamfilter.audit.recognise import calibration, dlib_resnet, sface
from streamfilter.audit.recognise.arcface import ArcFace
from streamfilter.audit.recognise.calibration import SHIPPED, Calibration
from streamfilter.audit.recognise.dlib_resnet import DlibResNet
from streamfilter.audit.recognise.recogniser import Calibrated, Network, Recogniser
from streamfilter.audit.recognise.sface import load_sface
from streamfilter.errors import ModelError
from streamfilter.model_files import sha256
from streamfilter.model_store.store import Store

BUILT_IN = {sface.NAME: sface.FILE, dlib_resnet.NAME: dlib_resnet.FILE}


def load_recognisers(store: Store, extra: Sequence[Path] = (), threads: int = 1) -> tuple[Recogniser, ...]:
    """SFace and dlib's from the store, with the calibrations that are shipped; then the user's own files.

    Raises:
        ModelError: A model is missing or damaged, has no calibration, or was calibrated as another file.
    """
    shipped = {item.model: item for item in calibration.load(SHIPPED)}
    found: list[Recogniser] = []
    for name, file in BUILT_IN.items():
        known = _matching(shipped.get(name), store.path(file), f"the shipped calibration of {name}")
        found.append(Calibrated(network=load_network(name, store, threads=threads), calibration=known))
    found += [load_extra(path, threads=threads) for path in extra]
    names = [recogniser.name for recogniser in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ModelError(f"two recognisers are called {twice[0]!r}; rename one of the files")
    return tuple(found)


def load_network(name: str, store: Store, *, threads: int = 1) -> Network:
    """`sface` or `dlib`, whether calibrated or not.

    Raises:
        ModelError: It is not in the store, damaged, or has another name.
    """
    if name == sface.NAME:
        return load_sface(store, threads=threads)
    if name == dlib_resnet.NAME:
        return DlibResNet.load(store)
    raise ModelError(f"there is no recogniser {name!r}; there are {', '.join(BUILT_IN)}, or name a file in ONNX")


def load_extra(path: Path, *, threads: int = 1) -> Recogniser:
    """The user's own recogniser, with the calibration that lies beside its file.

    Raises:
        ModelError: The model or its calibration is missing, damaged, or of another file.
    """
    if not path.is_file():
        raise ModelError(f"no model file at {path}")
    place = calibration.beside(path)
    if not place.is_file():
        raise ModelError(f"{path.name} has no calibration, so its scores mean nothing yet; {_remedy(path)}")
    known = _matching(next(iter(calibration.load(place)), None), path, place.name)
    if known.preparation is None:
        raise ModelError(f"{place.name} does not say what {path.name} takes; {_remedy(path)}")
    network = ArcFace.load(path, preparation=known.preparation, threads=threads)
    return Calibrated(network=network, calibration=known)


def _matching(known: Calibration | None, path: Path, source: str) -> Calibration:
    if known is None:
        raise ModelError(f"{source} is missing; {_remedy(path)}")
    if known.sha256 != sha256(path):
        raise ModelError(f"{source} was made for another {path.name}; {_remedy(path)}")
    return known


def _remedy(path: Path) -> str:
    return f"calibrate it: streamfilter models calibrate {path} --photos DIR"
