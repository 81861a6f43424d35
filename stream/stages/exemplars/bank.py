"""Bank: remembers what each person looked like close up, and picks what serves the face now.

It holds pictures of faces, so: in memory only, bounded, never logged, never written, and
overwritten with zeros when a person has been gone for a minute, at `forget` and at the end.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.frame import EXEMPLARS_PER_FACE, Exemplar, Face, Frame, Image
from stream.image.headshot import cut_headshot, is_inside, to_exemplar
from stream.protocols import Stage
from stream.quality_ladder import QualityLevel
from stream.stages.exemplars import quality
from stream.stages.exemplars.exemplar_set import CAPACITY, Exemplars, erase
from stream.stages.exemplars.face_similarity import UNLIKE, resemblance
from stream.stages.exemplars.known_face import KnownFace
from stream.stages.exemplars.person import Person
from stream.stages.exemplars.returning_people import ReturningPeople

SMALL_SIDE_PX = 180
"""A face whose headshot is larger than this gets no exemplars: it is sharp by itself."""
# A face at the limit must not flap across it; it counts as small until it is this much larger.
SMALL_HYSTERESIS = 1.1
LOOK_S = 0.165
"""A person's face is measured so often, at 30 frames a second in every fifth: a look takes 1 to
2 ms. Frames that are nearer to each other show the same thing."""
RECORDING_GAP_S = 0.5
"""Between two exemplars of one person where a whole recording is looked through first: what it
keeps is of all of it."""
REPICK_S = 1.0
"""A pick stays at least so long: each change costs an encoding."""
GONE_S = 60.0
"""The exemplars of somebody who was not seen for so long are wiped."""
MAX_PEOPLE = 16
"""Of more people than this, or than the quality level follows, those are wiped who only passed by,
then those not seen for longest."""
# What makes an exemplar usable; chosen by `python -m calibration.thresholds`, figures in
# calibration/thresholds/thresholds.toml. Nearly frontal: what is turned further brings little.
# Sharp: blur of 1 px of 256 costs an exemplar 30 % of its sharpness, a twelfth of its worth. Lit:
# in a dim room those of the same room serve; what is burnt out has lost what it would bring.
MAX_YAW, MAX_PITCH, MAX_ROLL = 0.4, 0.3, 0.5
LEAST_SCORE = 0.6
SHARPNESS_OF_BEST = 0.713
LEAST_LIGHT, MOST_LIGHT, MAX_CLIPPED = 18.0, 215.0, 0.2
# What must lie inside the picture, in widths of the face box: the head with hair and chin. The
# border of the headshot may be mirrored, as it is in the training data; otherwise a picture of 360
# lines could never give an exemplar.
HEAD_WIDTHS = 1.5
# While there is no real exemplar, "close" means close to the largest this camera has shown of the
# person: what it has is built from the upper end, and is replaced as the person comes closer.
NEAR_LARGEST = 0.8
COMPARE_S = 0.4
"""So often a face is compared with its exemplars (0.7 ms). One that is unlike them twice, as nobody
is who sneezes, does without them until it is like them again."""


class Bank(Stage):
    """Stage: sets `exemplars` and `exemplars_version` of each face that is small.

    Args: camera: what it gives; by default any.
          on_admitted: called with the track_id of each person of whom an exemplar was taken in.
          rolling: exemplars grow old and make room for newer ones, and who left may come back, as
          in a call; False where the whole recording is looked through first.
          capacity: exemplars kept of each person.
          known: somebody whose close-ups the face that is theirs begins with; closed with it.
    """

    name = "bank"

    def __init__(
        self,
        camera: CameraProfile = ANY_CAMERA,
        *,
        rolling: bool = True,
        on_admitted: Callable[[int], None] = lambda track_id: None,
        capacity: int = CAPACITY,
        known: KnownFace | None = None,
    ) -> None:
        self._camera = camera
        self._known = known
        self._capacity = capacity
        self._rolling = rolling
        self._on_admitted = on_admitted
        self._complete = False
        self._most_people = MAX_PEOPLE
        self.harvested = 0
        """How many exemplars were taken in so far."""
        self._people: dict[int, Person] = {}
        self._numbers = itertools.count(1)
        self._version = 0
        self._returning = ReturningPeople(self._join, self._part) if rolling else None
        # `forget` is a user's wish and may come from another thread.
        self._lock = threading.Lock()

    def __call__(self, frame: Frame) -> Frame:
        """The frame, its faces with what was picked for them."""
        with self._lock:
            if self._returning is not None and not self._complete:
                kept = {one for one, person in self._people.items() if len(person.exemplars)}
                unlike = {one for one, person in self._people.items() if person.doubted}
                frame = replace(frame, faces=self._returning.named(frame, kept, unlike))
            faces = tuple(self._serve(face, frame) for face in frame.faces)
            if not self._complete:
                self._let_go(frame.time_s)
        return replace(frame, faces=faces)

    def apply(self, quality: QualityLevel) -> None:
        """See `Stage.apply`."""
        # Far faces, and as many near ones.
        self._most_people = max(MAX_PEOPLE, 2 * quality.followed)

    @property
    def track_ids(self) -> tuple[int, ...]:
        """Of the people of whom something is kept; from any thread."""
        with self._lock:
            return tuple(one for one, person in self._people.items() if len(person.exemplars))

    def person_number(self, track_id: int) -> int:
        """Another one when the exemplars of a track are another person's, or anew after they were
        forgotten; 0: nothing is kept. From any thread."""
        with self._lock:
            person = self._people.get(track_id)
            return person.number if person and len(person.exemplars) else 0

    def exemplars_of(self, track_id: int) -> tuple[Exemplar, ...]:
        """What is kept of one person, oldest first; empty when nothing is."""
        with self._lock:
            person = self._people.get(track_id)
            return person.exemplars.all() if person else ()

    def take(self, track_id: int) -> Exemplars:
        """Hand over what is kept of one person, who is forgotten; it is the caller's to wipe."""
        with self._lock:
            person = self._people.pop(track_id, None)
            return person.exemplars if person else self._nothing()

    def start_with(self, people: Mapping[int, Exemplars]) -> None:
        """Serve these people (by track_id) with these exemplars, which are the bank's from now on.

        They are of the whole recording: none is taken in any more, and nobody is let go.
        """
        with self._lock:
            self._complete = True
            self._people = {
                one: Person(exemplars, next(self._numbers), 0.0)
                for one, exemplars in people.items()
            }

    def forget(self) -> None:
        """Wipe everything: pictures are overwritten with zeros. New ones may come after it.

        Features that were computed from them are the enhancer's: it sees the picks change.
        """
        with self._lock:
            for person in self._people.values():
                person.exemplars.wipe()
            self._people.clear()
            if self._returning is not None:
                self._returning.wipe()
            if self._known is not None:
                self._known.wipe()

    def close(self) -> None:
        """Wipe everything."""
        self.forget()
        if self._known is not None:
            self._known.close()

    def _nothing(self) -> Exemplars:
        return Exemplars(self._camera, rolling=self._rolling, capacity=self._capacity)

    def _serve(self, face: Face, frame: Frame) -> Face:
        person = self._people.get(face.track_id)
        if person is None:
            person = Person(self._nothing(), next(self._numbers), frame.time_s)
            self._people[face.track_id] = person
        person.seen_s = frame.time_s
        if self._known is not None and self._known.meets(face, frame):
            for one in self._known.exemplars():
                if not person.exemplars.admit(one, in_use=person.picked):
                    erase(one)
        # A score of 0 is a track that was kept where it was, not detected.
        if face.score >= LEAST_SCORE and not self._complete:
            person.largest_px = max(person.largest_px, face.headshot_side_px)
            self._harvest(person, face, frame)
        self._pick(person, face, frame.image, frame.time_s)
        return replace(face, exemplars=person.picked, exemplars_version=person.version)

    def _harvest(self, person: Person, face: Face, frame: Frame) -> None:
        """Take the headshot in where it is a good exemplar; the cheap questions first."""
        if not self._is_close(person, face.headshot_side_px):
            return
        if 0.0 <= frame.time_s - person.looked_s < LOOK_S:
            return
        if not self._rolling and abs(frame.time_s - person.admitted_s) < RECORDING_GAP_S:
            return
        side = round(face.headshot_side_px)
        if not is_inside(frame.image, face.center, round(HEAD_WIDTHS * face.width_px)):
            return
        head = quality.pose(face.keypoints)
        if abs(head.yaw) > MAX_YAW or abs(head.pitch) > MAX_PITCH or abs(head.roll) > MAX_ROLL:
            return
        person.looked_s = frame.time_s
        image = to_exemplar(cut_headshot(frame.image, face.center, side))
        sharpness = quality.sharpness(image)
        least = max(
            self._camera.least_sharpness, SHARPNESS_OF_BEST * person.exemplars.best_sharpness()
        )
        if sharpness < least or not _is_well_exposed(image):
            return
        if not self._is_same(person, face, image, frame.time_s):
            return
        image.setflags(write=False)
        at = (head.yaw, head.pitch)
        new = Exemplar(image, side, at, sharpness, frame.time_s, head.roll)
        if person.exemplars.admit(new, in_use=person.picked):
            person.admitted_s = frame.time_s
            self.harvested += 1
            self._on_admitted(face.track_id)

    def _is_close(self, person: Person, side_px: float) -> bool:
        near_px = self._camera.near_px
        if side_px >= near_px:
            return True
        # A real exemplar makes makeshift ones needless, once there are enough for a pick.
        close = sum(one.side_px >= near_px for one in person.exemplars.all())
        enough = max(self._camera.least_px, NEAR_LARGEST * person.largest_px)
        return close < EXEMPLARS_PER_FACE and side_px >= enough

    def _is_same(self, person: Person, face: Face, exemplar: Image, time_s: float) -> bool:
        """Whether an exemplar is of the person whose others are kept; they are wiped if, for long,
        none is: then somebody else has taken the place."""
        kept = person.exemplars.all()
        like = not kept or self._resembles(exemplar, kept, face)
        if not person.is_stranger(like, time_s):
            return like
        self._start_over(person)
        if self._known is not None:
            self._known.forget(face.track_id)
        if self._returning is not None:
            self._returning.start_over(face.track_id)
        return True

    def _start_over(self, person: Person) -> None:
        """What is kept is not this person's, or not theirs alone."""
        self._set_picked(person, ())
        person.exemplars.wipe()
        person.number = next(self._numbers)
        person.look_anew()
        person.unlike_since_s = None

    def _pick(self, person: Person, face: Face, image: Image, time_s: float) -> None:
        side = face.headshot_side_px
        limit = SMALL_SIDE_PX * (SMALL_HYSTERESIS if person.is_small else 1.0)
        person.is_small = side <= limit
        if not person.is_small:
            self._set_picked(person, ())
            person.look_anew()
            return
        if not len(person.exemplars):
            return
        if self._is_doubted(person, face, image, time_s):
            self._set_picked(person, ())
            return
        if person.picked and abs(time_s - person.picked_s) < REPICK_S:
            return
        # Reconsidered once a second, whether or not that changes anything: it takes 0.5 ms. Until
        # there is a first pick, in every frame.
        person.picked_s = time_s
        head = quality.pose(face.keypoints)
        chosen = person.exemplars.choose((head.yaw, head.pitch), side, person.picked)
        self._set_picked(person, chosen)

    def _is_doubted(self, person: Person, face: Face, image: Image, time_s: float) -> bool:
        """Whether to do without the exemplars because the face may be somebody else's."""
        # A track without a detection may have gone: nothing to compare.
        if face.score > 0.0 and abs(time_s - person.compared_s) >= COMPARE_S:
            shown = cut_headshot(image, face.center, max(2, round(face.headshot_side_px)))
            like = self._resembles(shown, person.exemplars.all(), face)
            was, person.doubted = person.doubted, not like
            person.compared_s = time_s
            return person.doubted and (was or not person.picked)
        return person.doubted and not person.picked

    def _set_picked(self, person: Person, chosen: tuple[Exemplar, ...]) -> None:
        if {id(one) for one in chosen} == {id(one) for one in person.picked}:
            return
        # Counted over all people, so that a version alone tells what was picked.
        self._version += 1
        person.picked, person.version = chosen, self._version

    def _let_go(self, time_s: float) -> None:
        least_first = sorted(self._people, key=lambda one: self._people[one].worth(time_s))
        surplus = max(0, len(least_first) - self._most_people)
        for position, track_id in enumerate(least_first):
            person = self._people[track_id]
            # Either way: a source that starts again begins at zero.
            if position < surplus or abs(time_s - person.seen_s) > GONE_S:
                person.exemplars.wipe()
                del self._people[track_id]
                self._forget_looks(track_id)

    def _forget_looks(self, track_id: int) -> None:
        if self._known is not None:
            self._known.forget(track_id)
        if self._returning is not None:
            self._returning.forget(track_id)

    def _join(self, between: int, first: int) -> None:
        """A face that counted as new is that of somebody who had left."""
        person, before = self._people.pop(between, None), self._people[first]
        self._set_picked(before, ())
        before.look_anew()
        before.unlike_since_s = None
        before.own = before.exemplars.keys()
        if person is not None:
            before.exemplars.absorb(person.exemplars)
        if self._known is not None:
            self._known.rename(between, first)

    def _part(self, first: int) -> None:
        """Two were taken for one: what was kept since may be either's, and so what was learnt."""
        person = self._people[first]
        self._set_picked(person, ())
        person.exemplars.keep_only(person.own)
        person.number = next(self._numbers)
        person.look_anew()
        if self._known is not None:
            self._known.forget(first)

    def _resembles(self, shown: Image, exemplars: tuple[Exemplar, ...], face: Face) -> bool:
        """Whether a headshot of a face can be of the person in the exemplars."""
        known = [(one.image, one.roll) for one in exemplars]
        if self._known is not None:
            known += self._known.pictures_of(face.track_id)
        tilts = [roll - face.roll for _, roll in known]
        return resemblance(shown, [image for image, _ in known], tilts) >= UNLIKE


def _is_well_exposed(image: Image) -> bool:
    light = quality.exposure(image)
    return LEAST_LIGHT <= light.mean <= MOST_LIGHT and light.clipped <= MAX_CLIPPED
