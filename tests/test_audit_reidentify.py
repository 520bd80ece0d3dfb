"""Re-identification: made-up people whose embeddings say what must be found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Moment
from streamfilter.audit.recognise import Calibration, OperatingPoint, load_recognisers
from streamfilter.audit.reidentify import Reidentification
from streamfilter.audit.reidentify.hidden import METHODS, SIDE_PX, Sample, box_as_landmarks, cut_out
from streamfilter.audit.reidentify.kept import Faces, Keeper, Seen
from streamfilter.audit.section import Figure, Section, Table, Verdict
from streamfilter.metrics.baselines import face_box
from streamfilter.metrics.by_group import mean_by_group, share_by_group
from streamfilter.metrics.reidentification import genuine_pairs, impostor_pairs, joined, nearest, other_moments
from streamfilter.structures import Floats, Image
from tests.audit_kit import box_of, face, landmarks_of, moment, person, unit

DIMS = 32
# Of two random directions in 32 dimensions a cosine above these is as rare as stated.
THRESHOLDS = {1e-2: 0.405, 1e-3: 0.52, 1e-4: 0.61}
BOX = box_of(60, 40, 80)
BASIC = face(BOX)
SMALL = moment(0, (BASIC,))


class Stand:
    """A recogniser that sees the brightness of eight stripes of a picture."""

    def __init__(self, name: str = "sface") -> None:
        self.name = name
        points = tuple(
            OperatingPoint(false_accepts=far, threshold=t, true_accepts=0.9) for far, t in THRESHOLDS.items()
        )
        self.calibration = Calibration(
            model=name,
            sha256="0",
            photos="made up",
            people=9,
            pictures=9,
            genuine_pairs=9,
            impostor_pairs=9,
            points=points,
        )
        self.calls = 0

    def embed(self, image: Image, points: Floats) -> Floats:
        self.calls += len(points)
        stripes = np.array_split(image.astype(np.float32).mean((1, 2)), DIMS)
        return np.stack([unit(np.array([s.mean() for s in stripes], np.float32))] * len(points))


def noisy(vector: Floats, seed: int, amount: float = 0.05) -> Floats:
    return unit(vector + amount * np.random.default_rng(seed).normal(size=DIMS).astype(np.float32))


def shown(source: str, time_s: float, track: int, original: Floats, result: Floats, **values: object) -> Moment:
    """One face at one moment; the pictures do not matter."""
    seen = replace(BASIC, track=track, identity={"sface": (original, result)}, **values)
    return replace(SMALL, source=source, time_s=time_s, index=round(time_s * 25), faces=(seen,))


def audit(
    moments: list[Moment], names: tuple[str, ...] = ("sface",), limits: Limits | None = None, **values
) -> Section:
    examiner = Reidentification([Stand(name) for name in names], limits or Limits(), **{"compared": 0, **values})
    for item in moments:
        examiner.look(item)
    return examiner.conclude()


def videos(results: Mapping[int, object], frames: int = 8) -> list[Moment]:
    """One track per key: noisy originals of person `key`, results as its function of (key, frame) says."""
    return [
        shown(f"{key}.mp4", float(i), key, noisy(person(key), 1000 * key + i), make(key, i))
        for key, make in results.items()
        for i in range(frames)
    ]


def untouched(key: int, i: int) -> Floats:
    return noisy(person(key), 1000 * key + i)


def somebody(key: int, i: int) -> Floats:
    return noisy(person(9000 + key), 1000 * key + i)


def figure(section: Section, name: str) -> Figure:
    return next(item for item in section.figures if item.name == name)


def table(section: Section, name: str) -> Table:
    return next(item for item in section.tables if item.name == name)


def rows(section: Section, name: str, first: str) -> list[dict[str, object]]:
    found = table(section, name)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows if row[0] == first]


# --- the verdict -----------------------------------------------------------------------------------------------------


def test_an_untouched_copy_is_recognised_and_fails():
    section = audit(videos({key: untouched for key in range(1, 7)}))
    decisive = figure(section, "gallery_tar_1e3_sface")
    assert (decisive.value, decisive.kept, section.verdict) == (1.0, False, Verdict.FAILED)
    assert decisive.limit == "<= 0.01" and decisive.n == 6 * 8 * 7  # ordered pairs at least a second apart
    assert figure(section, "same_frame_tar_1e3_sface").value == 1.0
    assert figure(section, "same_frame_distance_sface").value == pytest.approx(0, abs=1e-6)
    assert figure(section, "rank_one_best_sface").value == 1.0
    assert "100 %" in section.sentence and "can be recognised" in section.sentence


def test_strangers_pass_near_the_false_accept_rate():
    section = audit(videos({key: somebody for key in range(1, 151)}, frames=4))
    decisive = figure(section, "gallery_tar_1e3_sface")
    assert section.verdict is Verdict.PASSED and decisive.value <= 0.01
    assert figure(section, "gallery_tar_1e2_sface").value < 0.05
    assert figure(section, "originals_tar_1e3_sface").value == 1.0
    assert figure(section, "rank_one_mean_sface").value < 0.05
    assert decisive.high >= 0.005, "none of 150 people leaves some doubt"


def test_too_few_pairs_are_not_judged():
    section = audit(videos({1: somebody}, frames=4))  # 12 ordered pairs
    decisive = figure(section, "gallery_tar_1e3_sface")
    assert (decisive.value, decisive.kept, decisive.n, section.verdict) == (None, None, 12, Verdict.UNKNOWN)
    assert "12 pairs" in decisive.note and "12 pairs" in section.sentence


@pytest.mark.parametrize("names", [(), ("sface",)])
def test_no_faces_or_no_recogniser_is_never_safe(names):
    section = audit([], names)
    assert section.verdict is Verdict.UNKNOWN and "could not be judged" in section.sentence
    assert section.plots == ()


def test_faces_without_all_embeddings_are_passed_over():
    only_one = shown("a.mp4", 0, 1, person(1), person(2))
    section = audit([only_one] * 40, names=("sface", "dlib"))
    assert section.verdict is Verdict.UNKNOWN
    assert figure(section, "same_frame_tar_1e3_dlib").value is None


def test_one_recogniser_that_recognises_is_enough_to_fail():
    moments = []
    for item in videos({key: somebody for key in range(1, 7)}):
        seen = item.faces[0]
        original, result = seen.identity["sface"]
        both = {"sface": (original, result), "dlib": (original, original)}
        moments.append(replace(item, faces=(replace(seen, identity=both),)))
    section = audit(moments, names=("sface", "dlib"))
    assert section.verdict is Verdict.FAILED and "dlib" in section.sentence
    assert figure(section, "gallery_tar_1e3_sface").kept and not figure(section, "gallery_tar_1e3_dlib").kept


def test_a_recogniser_that_does_not_know_the_originals_proves_nothing():
    blind = [
        shown("a.mp4", float(i), 1, person(100 + i), person(500 + i)) for i in range(20)
    ]  # the originals look like somebody else every second
    section = audit(blind)
    decisive = figure(section, "gallery_tar_1e3_sface")
    assert section.verdict is Verdict.UNKNOWN and decisive.kept is None and "too weak" in decisive.note


# --- leaks of single frames ------------------------------------------------------------------------------------------


def test_one_leaked_frame_raises_the_maximum_and_is_named():
    def leaks_once(key: int, i: int) -> Floats:
        return untouched(key, i) if i == 5 else somebody(key, i)

    clean = {key: somebody for key in range(1, 5)}
    before, after = audit(videos(clean)), audit(videos({**clean, 3: leaks_once}))
    assert figure(before, "track_best_tar_1e3_sface").value == 0
    assert figure(after, "track_best_tar_1e3_sface").value == 0.25
    assert figure(after, "track_mean_tar_1e3_sface").value == 0, "the mean hides it"
    assert table(after, "worst_moments").rows[0][:4] == ("3.mp4", 5.0, 3, "sface")
    line = next(plot for plot in after.plots if plot.kind == "timeline")
    assert "3.mp4" in line.title and int(np.argmax(line.series[0].y)) == 5


def test_ten_spliced_frames_are_all_among_the_worst():
    spliced = set(range(20, 30))
    section = audit(videos({1: lambda key, i: (untouched if i in spliced else somebody)(key, i)}, frames=60))
    assert {row[1] for row in table(section, "worst_moments").rows} == {float(i) for i in spliced}


def test_the_worst_moments_are_compared_across_recognisers_by_their_own_thresholds():
    a, b = person(1), noisy(person(1), 3, 0.3)
    moments = [
        replace(SMALL, source="a", faces=(replace(BASIC, identity={"sface": (a, person(9)), "dlib": (a, b)}),)),
        replace(SMALL, source="b", faces=(replace(BASIC, identity={"sface": (a, a), "dlib": (a, person(8))}),)),
    ]
    found = [(row[0], row[3]) for row in table(audit(moments, ("sface", "dlib")), "worst_moments").rows]
    assert found == [("b", "sface"), ("a", "dlib")]


# --- people ----------------------------------------------------------------------------------------------------------


def test_photos_of_one_label_are_one_person():
    moments = []
    for name in range(5):
        for photo in range(4):
            who, track = noisy(person(name), 10 * name + photo), 4 * name + photo
            moments.append(shown(f"{name}/{photo}.jpg", 0, track, who, who, label=f"name {name}"))
    section = audit([replace(item, still=True) for item in moments])
    assert figure(section, "gallery_tar_1e3_sface").n == 5 * 12
    assert section.verdict is Verdict.FAILED
    assert all(plot.kind != "timeline" for plot in section.plots), "there is no time in photos"
    assert "one of 5 people" in figure(section, "rank_one_mean_sface").note


def test_rank_one_needs_two_people():
    section = audit(videos({1: somebody}))
    rank = figure(section, "rank_one_mean_sface")
    assert rank.value is None and "fewer than two" in rank.note and not table(section, "rank_one").rows


def test_the_gallery_is_of_other_moments_and_the_same_frame_is_told_apart():
    axes = np.eye(DIMS, dtype=np.float32)  # the person, and what only one moment shows
    section = audit([shown("a.mp4", float(i), 1, unit(1.2 * axes[0] + axes[i]), axes[i]) for i in range(1, 9)])
    assert figure(section, "originals_tar_1e3_sface").value == 1
    assert figure(section, "same_frame_tar_1e3_sface").value == 1
    assert figure(section, "gallery_tar_1e3_sface").value == 0 and section.verdict is Verdict.PASSED


def test_two_tracks_of_one_unnamed_person_are_one_of_the_people():
    moments = videos({key: somebody for key in (1, 2, 3)})
    again = [replace(item, source="again", faces=(replace(item.faces[0], track=9),)) for item in moments[:8]]
    assert "one of 3 people" in figure(audit([*moments, *again]), "rank_one_mean_sface").note
    named = [
        replace(item, faces=(replace(item.faces[0], label=str(item.faces[0].track)),)) for item in [*moments, *again]
    ]
    assert "one of 4 people" in figure(audit(named), "rank_one_mean_sface").note, "labels are believed"


def test_a_tool_that_always_paints_the_same_face_loses_to_its_own_gallery():
    examiner = Reidentification([Stand()], Limits(), compared=0)
    for item in videos({key: somebody for key in range(1, 5)}):
        seen = item.faces[0]
        examiner.look(item, {seen.track: {"sface": seen.identity["sface"][1]}})
    section = examiner.conclude()
    assert figure(section, "parrot_tar_1e3_sface").value == 1.0
    assert figure(section, "gallery_tar_1e3_sface").value == 0 and section.verdict is Verdict.PASSED
    assert rows(section, "true_accepts", "gallery anonymised too, strangers")[0]["FAR 1e-3"] == 0


def test_without_a_second_result_nothing_is_said_about_it():
    section = audit(videos({1: somebody, 2: somebody}))
    assert not any(item.name.startswith("parrot") for item in section.figures)


# --- blur and squares ------------------------------------------------------------------------------------------------


def test_blur_and_squares_are_computed_beside_and_untouched_crops_bound_them():
    section = audit(videos({key: somebody for key in (1, 2)}), compared=20)
    methods = [row[0] for row in table(section, "methods").rows]
    assert methods == ["the result", *METHODS]
    assert rows(section, "methods", "blur 25")[0]["faces"] == 8


@pytest.mark.parametrize("landmarks", [True, False])
def test_each_method_changes_the_face_and_nothing_else(landmarks):
    shape = landmarks_of(BOX)
    seen = replace(BASIC, landmarks=(shape, shape) if landmarks else None)
    picture, points68, points5 = cut_out(SMALL.original, seen)
    assert picture.shape == (SIDE_PX, SIDE_PX, 3) and points5[0, 0] < SIDE_PX / 2 < points5[1, 0]
    x0, y0, x1, y1 = face_box(points68, SIDE_PX)
    assert x0 < points5[:, 0].min() < points5[:, 0].max() < x1 and y0 < points5[:, 1].min() < y1
    for name, hide in METHODS.items():
        changed = np.abs(hide(picture, points68).astype(int) - picture).sum(-1) > 0
        inside = changed[y0:y1, x0:x1].mean()
        assert inside == 0 if name == "untouched" else inside > 0.8
        changed[y0:y1, x0:x1] = False
        assert not changed.any()


def test_a_box_as_landmarks_spans_the_box_and_a_little_more_above():
    x0, y0, x1, y1 = face_box(box_as_landmarks(np.array([80, 90, 180, 190], np.float32)), SIDE_PX)
    assert (x0, x1) == pytest.approx((78, 183), abs=3) and (y0, y1) == pytest.approx((77, 193), abs=3)


def test_the_sample_is_bounded_and_takes_a_track_every_two_seconds():
    recogniser, seen = Stand(), _seen("p", 0)
    sample = Sample([recogniser], most=5)
    for i in range(40):
        sample.offer(replace(SMALL, time_s=i * 0.5), BASIC, seen)
    assert len(sample.faces) == 5 and recogniser.calls <= 10 * len(METHODS)
    assert all(set(item.embeddings) == set(METHODS) for item in sample.faces)
    few = Sample([recogniser], most=5)
    for i in range(4):
        few.offer(replace(SMALL, time_s=i * 1.0), BASIC, seen)
    assert len(few.faces) == 2


# --- bounded memory --------------------------------------------------------------------------------------------------


def _seen(name: str, i: int) -> Seen:
    return Seen(person=name, track=1, source="a", time_s=float(i), original={"r": person(i)}, result={"r": person(i)})


def test_a_long_track_is_kept_thinly_but_evenly():
    keeper = Keeper(per_person=48)
    for i in range(5000):
        keeper.add(_seen("p", i))
    times = np.array([seen.time_s for seen in keeper])
    assert 24 <= len(times) == len(keeper) <= 48
    assert len(set(np.diff(times))) == 1 and times[0] == 0 and times[-1] > 4800


def test_memory_is_bounded_over_many_people_and_the_longest_seen_stay():
    keeper = Keeper(per_person=8, faces=40)
    for who in range(100):
        for i in range(3 if who % 10 == 0 else 1):
            keeper.add(_seen(f"{who}", i))
            assert len(keeper) == len(list(keeper)) <= 40
    names = [seen.person for seen in keeper]
    assert keeper.forgotten > 0 and "99" in names
    assert all(names.count(f"{who}") == 2 for who in range(0, 100, 10))


def test_the_examiner_keeps_no_picture_and_few_embeddings():
    examiner = Reidentification([Stand()], Limits(), compared=3)
    for i in range(400):
        examiner.look(shown("a.mp4", i / 4, 1, person(1), person(2)))
    assert len(examiner._keeper) <= 48 and len(examiner._sample.faces) == 3
    kept = [
        value
        for item in examiner._sample.faces
        for value in (getattr(item.seen, each.name) for each in fields(item.seen))
    ]
    assert kept and not [value for value in kept if isinstance(value, np.ndarray) and value.ndim > 1]


def test_a_missing_second_result_is_no_number():
    faces = Faces.of((_seen("p", 1), replace(_seen("p", 2), second={"r": person(3)})))
    assert np.isnan(faces.second("r")[0]).all() and np.isfinite(faces.second("r")[1]).all()


# --- pairs, shares, nearest ------------------------------------------------------------------------------------------


def test_pairs_are_a_second_apart_or_in_two_files_or_the_two_ends():
    one = np.zeros(4, int)
    gallery, probe = other_moments(one, np.array([0, 0.5, 1.0, 1.2]))
    assert set(zip(gallery.tolist(), probe.tolist(), strict=True)) == {(0, 2), (2, 0), (0, 3), (3, 0)}
    gallery, probe = other_moments(one, np.array([0, 0.2, 0.4, 0.6]))
    assert set(zip(gallery.tolist(), probe.tolist(), strict=True)) == {(0, 3), (3, 0)}
    assert len(other_moments(np.array([0, 1]), np.zeros(2))[0]) == 2
    assert not len(other_moments(np.zeros(3, int), np.zeros(3))[0])


def test_no_person_outweighs_the_others():
    people, files = np.array([0] * 50 + [1] * 3), np.arange(53)
    gallery, probe = genuine_pairs(people, files, np.zeros(53), most=10, seed=0)
    assert np.bincount(people[probe]).tolist() == [10, 6] and (people[gallery] == people[probe]).all()
    assert not np.any(gallery == probe)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.floats(0, 9)), min_size=1, max_size=20),
    st.integers(1, 9),
)
def test_a_pair_is_always_one_person_at_two_moments(faces, most):
    people, files, times = (np.array(column) for column in zip(*faces, strict=True))
    gallery, probe = genuine_pairs(people, files, times.astype(float), most=most)
    assert (people[gallery] == people[probe]).all()
    assert ((files[gallery] != files[probe]) | (times[gallery] != times[probe])).all()
    assert np.bincount(people[probe], minlength=1).max() <= most


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_fewer_false_accepts_never_mean_more_true_ones(seed, n):
    rng = np.random.default_rng(seed)
    who = rng.normal(size=(3, DIMS)).astype(np.float32)
    moments = []
    for i in range(n):
        track = i % 3
        original, result = unit(who[track]), noisy(unit(who[track]), seed + i, float(rng.uniform(0, 0.6)))
        moments.append(shown("a.mp4", float(i), track, original, result))
    found = table(audit(moments), "true_accepts")
    assert found.rows
    for row in found.rows:
        rates = [value for value in row[3:6] if value is not None]
        assert all(0 <= value <= 1 for value in rates) and rates == sorted(rates, reverse=True)


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(0, 30))
def test_strangers_are_never_one_person(people, most):
    gallery, probe = impostor_pairs(np.array(people, int), most=most)
    assert all(people[i] != people[j] for i, j in zip(gallery, probe, strict=True))
    assert len(set(zip(gallery.tolist(), probe.tolist(), strict=True))) == len(gallery) <= most


def test_intervals_come_from_people_not_from_frames():
    values = np.repeat(np.arange(10) % 2, 100).astype(float)
    found = mean_by_group(values, np.repeat(np.arange(10), 100))
    assert found.value == 0.5 and found.high - found.low > 0.4, "ten people, not a thousand frames"
    frames = mean_by_group(values, np.arange(1000))
    assert frames.high - frames.low < 0.08
    assert mean_by_group(np.zeros(0), []) is None


def test_nothing_found_in_few_people_leaves_much_possible():
    none = share_by_group(np.zeros(100, bool), np.repeat(np.arange(10), 10))
    assert (none.value, none.low) == (0, 0) and none.high == pytest.approx(0.3085, abs=1e-3)
    every = share_by_group(np.ones(100, bool), np.repeat(np.arange(10), 10))
    assert every.high == 1 and every.low == pytest.approx(1 - none.high)
    alone = share_by_group(np.array([True, False]), [1, 1])
    assert (alone.value, alone.low, alone.high) == (0.5, None, None)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40), st.integers(0, 3))
def test_an_interval_holds_its_share(pairs, seed):
    hits, groups = zip(*pairs, strict=True)
    found = share_by_group(np.array(hits), groups, seed)
    assert found.groups == len(set(groups)) and found.n == len(hits)
    if found.low is not None:
        assert 0 <= found.low <= found.high <= 1
    assert (found.low is None) == (found.groups == 1), "one person alone says nothing about others"
    if len(set(hits)) == 1 and found.low is not None:
        assert found.low <= found.value <= found.high


def test_nearest_and_joined():
    rows_ = np.eye(4)
    assert nearest(rows_, rows_[[2, 0, 3]]).tolist() == [2, 0, 3]
    chain = np.stack([unit(np.array([np.cos(a), np.sin(a)], np.float32)) for a in (0, 0.3, 0.6, 2.0)]).astype(float)
    assert joined(chain, np.cos(0.35)).tolist() == [0, 0, 0, 1]


def test_the_same_seed_gives_the_same_section():
    moments = videos({key: somebody for key in range(1, 5)})
    assert audit(moments, seed=4).figures == audit(moments, seed=4).figures


# --- real photos -----------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_real_people_are_recognised_untouched_and_not_once_their_faces_are_gone(real_data, audit_models):
    from streamfilter.audit.detect.reference import ReferenceDetector
    from streamfilter.model_store.store import Store

    store = Store(audit_models)
    recognisers, detect = load_recognisers(store), ReferenceDetector.load(store, threads=1)
    bare, gone = (Reidentification(recognisers, Limits(), compared=0) for _ in range(2))
    folders = (sorted(folder.glob("*.jpg")) for folder in sorted((real_data / "faces/lfw").iterdir()))
    for photos in [photos[:2] for photos in folders if len(photos) > 1][:11]:
        for path in photos:
            photo = cv2.imread(str(path))[..., ::-1].copy()
            sighting = max(detect(photo), key=lambda found: found.xyxy[2] - found.xyxy[0])
            grey = photo.copy()
            # With hair: of a box that ends at the brows SFace still knows some by what is left around it.
            x0, y0, x1, y1 = np.clip(sighting.xyxy + np.array([-40, -60, 40, 40]), 0, None).astype(int)
            grey[y0:y1, x0:x1] = np.random.default_rng(0).integers(0, 255, 3)
            for examiner, result in ((bare, photo), (gone, grey)):
                examiner.look(_photographed(path, photo, result, sighting, recognisers))
    assert bare.conclude().verdict is Verdict.FAILED
    section = gone.conclude()
    for recogniser in recognisers:
        assert figure(section, f"originals_tar_1e3_{recogniser.name}").value > 0.8
        assert figure(section, f"gallery_tar_1e3_{recogniser.name}").value < 0.1


def _photographed(path, photo, result, sighting, recognisers) -> Moment:
    points = sighting.points[None]
    identity = {r.name: (r.embed(photo, points)[0], r.embed(result, points)[0]) for r in recognisers}
    label = path.parent.name
    seen = replace(BASIC, xyxy=sighting.xyxy, points=sighting.points, label=label, identity=identity)
    return Moment(
        source=f"{label}/{path.name}", index=0, time_s=0.0, original=photo, result=result, faces=(seen,), still=True
    )
