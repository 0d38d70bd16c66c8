"""The two branches on tiny synthetic panoramas, with networks that see colours; and the shipped ones."""

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from omniaudio.audio.ambisonics import panorama_directions, unit_vector
from omniaudio.recognition import kinds, people
from omniaudio.recognition.finder import PLACES, VIEW, Finder
from omniaudio.recognition.networks import Float32, OnnxNetworks
from omniaudio.recognition.recognise import sources
from omniaudio.video.panorama import Rgb, RgbBatch

TABLE = kinds.load()
GREY, RED, BLUE, GREEN = (110, 110, 110), (220, 20, 20), (20, 20, 220), (20, 220, 20)
DOG, CAR, SEASHORE, TENCH = 207, 817, 978, 0  # ImageNet's numbers


def _panorama(*discs: tuple[tuple[int, int, int], float, float, float]) -> Rgb:
    """Grey, with discs: colour, azimuth, elevation and width in degrees."""
    panorama = np.full((256, 512, 3), GREY, np.uint8)
    directions = panorama_directions(256, 512)
    for colour, azimuth, elevation, width in discs:
        centre = unit_vector(np.radians(azimuth), np.radians(elevation))
        panorama[directions @ centre > np.cos(np.radians(width / 2))] = colour
    return panorama


class Colours:
    """A red patch is a dog, a blue one a car, a grey one a fish; nobody is anywhere."""

    def classify(self, images: RgbBatch) -> Float32:
        batch, height, width, _ = images.shape
        patches = images.reshape(batch, height // 32, 32, width // 32, 32, 3).mean(axis=(2, 4)).astype(np.float32)
        logits = np.zeros((*patches.shape[:3], 1000), np.float32)
        for number, colour in ((DOG, RED), (CAR, BLUE), (SEASHORE, GREEN), (TENCH, GREY)):
            logits[..., number] = 20 - np.abs(patches - colour).mean(axis=-1) / 4
        return logits

    def detect(self, image: RgbBatch) -> Sequence[Float32]:
        _, height, width, _ = image.shape
        empty: list[Float32] = []
        for stride in people.STRIDES:
            empty += [np.zeros((1, n, height // stride, width // stride), np.float32) for n in (44, 80)]
        return empty


@pytest.mark.parametrize("azimuth", [0.0, 100.0, -179.0])
@pytest.mark.parametrize("elevation", [0.0, -15.0])
def test_a_source_is_found_named_and_measured(azimuth: float, elevation: float) -> None:
    (found,) = Finder(Colours(), TABLE).look(_panorama((RED, azimuth, elevation, 40))).sources
    assert TABLE.ids[int(found.shares.argmax())] == "dog"
    wanted = unit_vector(np.radians(azimuth), np.radians(elevation))
    assert np.degrees(np.arccos(found.direction @ wanted)) < 6
    assert 20 < np.degrees(found.size) < 60


def test_two_sources_are_found() -> None:
    found = Finder(Colours(), TABLE).look(_panorama((RED, 60, 0, 40), (BLUE, -80, 0, 40))).sources
    assert {TABLE.ids[int(one.shares.argmax())] for one in found} == {"dog", "car"}


def test_where_nothing_sounds_there_is_no_source_and_a_quiet_bed() -> None:
    found = sources([_panorama()], [0.5], (0.0, 1.0), 1.0, Colours(), kinds=TABLE)
    assert found.sources == ()
    assert found.bed is not None
    assert found.bed.kind == "interior"
    assert found.bed.level < TABLE["interior"].level


@pytest.mark.parametrize(("kind", "kinds_found"), [("guitar", ["guitar"]), ("dog", ["dog", "speech"])])
def test_who_is_at_an_instrument_plays_it(monkeypatch: pytest.MonkeyPatch, kind: str, kinds_found: list[str]) -> None:
    """The person stands 20° beside; to a dog, people may speak."""
    person = people.Person(azimuth=np.radians(60), elevation=0.0, size=np.radians(30), score=0.9)
    monkeypatch.setattr(people, "find", lambda networks, panorama: [person])
    azimuth = 40 if kind == "guitar" else 30
    number = TABLE[kind].imagenet[0]

    class Named(Colours):
        def classify(self, images: RgbBatch) -> Float32:
            logits = super().classify(images)
            logits[..., number] = logits[..., DOG]
            if number != DOG:
                logits[..., DOG] = 0
            return logits

    seen = Finder(Named(), TABLE).look(_panorama((RED, azimuth, 0, 40))).sources
    assert sorted(TABLE.ids[int(one.shares.argmax())] for one in seen) == kinds_found


def test_the_tripod_is_no_source() -> None:
    assert Finder(Colours(), TABLE).look(_panorama((RED, 0, -90, 60))).sources == []


def test_what_covers_much_of_the_panorama_is_the_bed() -> None:
    panorama = _panorama()
    panorama[120:] = GREEN
    bed = sources([panorama], [0.5], (0.0, 1.0), 1.0, Colours(), kinds=TABLE).bed
    assert bed is not None
    assert bed.kind == "sea_waves"


def test_a_frame_that_stays_is_looked_at_once() -> None:
    class Counting(Colours):
        looks = 0

        def detect(self, image: RgbBatch) -> Sequence[Float32]:
            self.looks += 1
            return super().detect(image)

    networks = Counting()
    found = sources([_panorama((RED, 30, 0, 40))] * 4, [1.0, 3.0, 5.0, 7.0], (0.0, 8.0), 8.0, networks, kinds=TABLE)
    assert networks.looks == 1
    assert [(one.kind, one.start, one.end) for one in found.sources] == [("dog", 0, 8)]


def test_coding_noise_is_no_change_and_a_moving_source_is() -> None:
    class Counting(Colours):
        looks = 0

        def detect(self, image: RgbBatch) -> Sequence[Float32]:
            self.looks += 1
            return super().detect(image)

    still, moved = _panorama((RED, 30, 0, 40)), _panorama((RED, 35, 0, 40))
    noise = np.random.default_rng(0).integers(-3, 4, still.shape)
    noisy = np.clip(still.astype(int) + noise, 0, 255).astype(np.uint8)
    networks = Counting()
    sources([still, noisy, moved], [1.0, 3.0, 5.0], (0.0, 6.0), 6.0, networks, kinds=TABLE)
    assert networks.looks == 2


def test_places_that_show_nothing_at_first_are_looked_at_once() -> None:
    class Blind(Colours):
        views = 0

        def classify(self, images: RgbBatch) -> Float32:
            if images.shape[1] != VIEW:
                return super().classify(images)
            self.views += len(images)
            return super().classify(np.full_like(images, GREY[0]))

    networks = Blind()
    assert Finder(networks, TABLE).look(_panorama((RED, 30, 0, 20))).sources == []
    assert 1 <= networks.views <= PLACES


def test_the_detectors_boxes_are_the_expected_distances_and_one_a_person() -> None:
    outputs = list(Colours().detect(np.zeros((1, 416, 416, 3), np.uint8)))
    for row, column, score in ((10, 12, 0.9), (10, 13, 0.6)):
        outputs[3][0, people.PERSON, row, column] = score
        for side, distance in enumerate((2, 5, 3, 4)):
            outputs[2][0, side * 11 + distance, row, column] = 50.0
    (box,) = people.boxes(outputs, 0.5)
    x, y = 12.5 * 16, 10.5 * 16
    assert box == pytest.approx((x - 32, y - 80, x + 48, y + 64, 0.9), abs=0.1)


def test_the_shipped_networks_run_on_a_plain_image() -> None:
    networks = OnnxNetworks()
    ramp = np.asarray(Image.linear_gradient("L").resize((64, 64)).convert("RGB"))
    patches = networks.classify(np.stack([ramp, ramp]))
    assert patches.shape == (2, 2, 2, 1000 + 1280)
    assert np.isfinite(patches).all()
    shapes = [output.shape for output in networks.detect(ramp[None])]
    assert shapes == [(1, n, 64 // stride, 64 // stride) for stride in people.STRIDES for n in (44, 80)]
