"""The sound of the scene: two voices that babble vowels in step with the mouths, and the hush of a room."""

from __future__ import annotations

import numpy as np

from samples.acting import PEOPLE, SECONDS, Array, Person, loudness, syllables

RATE = 48000
VOWELS = np.array([(730, 1090, 2440), (570, 840, 2410), (530, 1840, 2480), (390, 1990, 2550), (440, 1020, 2240)], float)
BANDWIDTHS = np.array([80.0, 100.0, 140.0])
TOP_HZ = 4000


def babble(person: Person) -> Array:
    """The person's voice (n,): harmonics of its pitch, each as loud as the vowel's formants let it through."""
    times = np.arange(SECONDS * RATE) / RATE
    said = syllables(person)
    rng = np.random.default_rng(round(person.voice_hz) + 1)
    stretch = 1.0 + 0.17 * (person.voice_hz > 160)  # a shorter throat has higher formants
    vowels = VOWELS[rng.integers(len(VOWELS), size=len(said))] * stretch
    middle = said[:, 0] + said[:, 1] / 2
    formants = [np.interp(times, middle, vowels[:, k]) for k in range(3)]
    accent = np.interp(times, middle, rng.normal(1, 0.08, len(said)))
    pitch = person.voice_hz * accent * (1 + 0.01 * np.sin(2 * np.pi * 5 * times))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = np.zeros(len(times))
    for harmonic in range(1, int(TOP_HZ / person.voice_hz)):
        gain = sum((0.5**k) / (1 + ((harmonic * pitch - f) / BANDWIDTHS[k]) ** 2) for k, f in enumerate(formants))
        voice += gain * np.sin(harmonic * phase) / np.sqrt(harmonic)
    voice *= loudness(said, times) ** 0.7
    return voice / np.abs(voice).max()


def soundtrack() -> Array:
    """Everything that is heard, (n,) at 48 kHz, within -1 and 1."""
    hush = np.random.default_rng(7).normal(0, 0.002, SECONDS * RATE)
    return 0.35 * sum(babble(person) for person in PEOPLE) + hush
