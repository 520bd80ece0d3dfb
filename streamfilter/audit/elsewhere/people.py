"""The people of the original as recognisers know them: the mean of each one's embeddings, of a bounded number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from streamfilter.audit.recognise import Calibration, Recogniser
from streamfilter.audit.sampling import Lottery
from streamfilter.structures import Doubles, Floats

MOST_PEOPLE = 4000
"""With two recognisers of 128 numbers that is 8 MB."""
FAR = 1e-4
_NEXT = 1e-3
AGREEING = 2  # recognisers
MOST_PROBES = 200
_SURE = 1e-6  # no share that was measured is 0 or 1

Embeddings = Mapping[str, Floats]


class People:
    """Knows who a face is, if it is one of the people that were shown.

    A face is known as a person where at least two recognisers (the only one, if there is one) say so of the same
    person: each finds a cosine to the mean of that person's embeddings that strangers reach in 1 of 10,000 comparisons
    with all people together. So with n people each comparison has to be n times as rare (Bonferroni), and n is told
    from the calibration as `stricter` says. Means, not the nearest of all moments: a maximum over a long film is
    reached by strangers too.

    Args:
        most: With more people, the one who was shown least is forgotten.
        seed: Of the draw of faces that `power` is measured with.
    """

    def __init__(self, recognisers: Sequence[Recogniser], most: int = MOST_PEOPLE, *, seed: int = 0) -> None:
        self._calibrations = {recogniser.name: recogniser.calibration for recogniser in recognisers}
        self._most = most
        self._sums: dict[str, dict[str, Doubles]] = {}
        self._counts: dict[str, int] = {}
        self._probes: list[tuple[str, Embeddings]] = []
        self._lottery = Lottery(MOST_PROBES, seed)
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, person: str, embeddings: Embeddings) -> None:
        """One more original face, with an embedding by every recogniser."""
        if person not in self._counts and len(self) >= self._most:
            least = min(self._counts, key=lambda name: self._counts[name])
            del self._counts[least], self._sums[least]
            self.forgotten += 1
        sums = self._sums.setdefault(person, {})
        for name in self._calibrations:
            sums[name] = sums.get(name, 0.0) + embeddings[name].astype(np.float64)
        self._counts[person] = self._counts.get(person, 0) + 1
        place = self._lottery.place()
        if place is not None:
            self._probes[place : place + 1] = [(person, embeddings)]

    def thresholds(self) -> dict[str, float]:
        """The cosine that each recogniser asks for, among so many people."""
        return {name: stricter(known, FAR / max(len(self), 1)) for name, known in self._calibrations.items()}

    def known(self, faces: Sequence[Embeddings]) -> list[dict[str, float] | None]:
        """For each face the cosines to the person as whom it is known, by recogniser; None: it is nobody here."""
        if not self._counts or not faces:
            return [None] * len(faces)
        cosines = np.stack([self._cosines(name, faces) for name in self._calibrations])
        asked = np.array(list(self.thresholds().values()))
        margins = cosines - asked[:, None, None]
        weakest = np.sort(margins, axis=0)[-min(AGREEING, len(margins))]  # (faces, people): of those that must agree
        best = weakest.argmax(1)
        return [
            dict(zip(self._calibrations, cosines[:, i, person].tolist(), strict=True))
            if weakest[i, person] >= 0
            else None
            for i, person in enumerate(best)
        ]

    def power(self) -> float:
        """The share of the originals' own faces that would be known: the more people, the fewer.

        Each of a sample of faces is compared with the mean of that person's others. Where nobody was shown twice the
        calibrations tell it, of the recogniser whose word is needed.
        """
        asked = self.thresholds()
        probes = [(person, face) for person, face in self._probes if self._counts.get(person, 0) > 1]
        if probes:
            return float(np.mean([self._agreed(self._margins(asked, person, face)) >= 0 for person, face in probes]))
        return self._agreed([passing(known, asked[name]) for name, known in self._calibrations.items()])

    def _margins(self, asked: Mapping[str, float], person: str, face: Embeddings) -> list[float]:
        """By how much each recogniser knows a face as one of this person's others."""
        margins = []
        for name, total in self._sums[person].items():
            others = total - face[name]
            cosine = float(face[name] @ others) / max(float(np.linalg.norm(others)), 1e-9)
            margins.append(cosine - asked[name])
        return margins

    def _agreed(self, values: Sequence[float]) -> float:
        """Of so many recognisers as must agree, the least."""
        return sorted(values)[-min(AGREEING, len(values))] if values else 0.0

    def _cosines(self, name: str, faces: Sequence[Embeddings]) -> Doubles:
        """(faces, people)."""
        sums = np.stack([person[name] for person in self._sums.values()])
        means = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        return np.asarray(np.stack([face[name] for face in faces]).astype(np.float64) @ means.T)


def stricter(calibration: Calibration, false_accepts: float) -> float:
    """The cosine that a share of pairs of different people reaches, for shares smaller than any that was measured.

    Cosines of strangers fall off like a normal distribution: the thresholds at FAR 1e-3 and 1e-4 give its line.
    """
    normal = NormalDist()
    near, far, wanted = (-normal.inv_cdf(rate) for rate in (_NEXT, FAR, false_accepts))
    low, high = calibration.threshold(_NEXT), calibration.threshold(FAR)
    return high + (high - low) / (far - near) * (wanted - far)


def passing(calibration: Calibration, threshold: float) -> float:
    """The share of pairs of one person that reaches a cosine, told from the same two measured ones in the same way."""
    normal = NormalDist()
    low, high = calibration.threshold(_NEXT), calibration.threshold(FAR)
    near, far = (normal.inv_cdf(min(max(calibration.true_accepts(rate), _SURE), 1 - _SURE)) for rate in (_NEXT, FAR))
    slope = (far - near) / (high - low) if high > low else 0.0
    return normal.cdf(far + slope * (threshold - high))
