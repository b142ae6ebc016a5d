"""Augmentations: their distributions, against other libraries', and that they are for training batches alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from choosing import Hardest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn
from torch.nn.functional import cross_entropy, interpolate
from worlds import LINEAR, images, numbers, trainer_of

from modyn_bench.config import TrainingConfig
from modyn_bench.data.store import Column, Schema, Split
from modyn_bench.errors import RequestError
from modyn_bench.inference.predict import predict
from modyn_bench.preflight import check_jobs
from modyn_bench.training.augmentation import Draws, HorizontalFlip, RandomResizedCrop, augmenter
from modyn_bench.training.augmentation.random_resized_crop import Boxes, crop_and_resize
from modyn_bench.types import Selection

HERE = "modyn_bench.training.augmentation"
CROP = {"_target_": f"{HERE}.RandomResizedCrop"}
FLIP = {"_target_": f"{HERE}.HorizontalFlip"}
MIRROR = {**FLIP, "probability": 1.0}
BOTH = {"crop": CROP, "flip": FLIP}
FLAT = {"_target_": f"{__name__}.Flat"}


class Flat(nn.Module):
    """A linear model of pixels, which tells left from right."""

    def __init__(self, image_shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(int(np.prod(image_shape)), num_classes)

    def forward(self, batch: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
        return self.head((batch["image"] if isinstance(batch, dict) else batch).flatten(1))


def every(count: int) -> Selection:
    return Selection.unweighted(np.arange(count))


def draws(count: int, *names: int | str) -> Draws:
    return Draws(np.arange(count), 0, *names)


def mirrored(world: tuple[Schema, Split]) -> tuple[Schema, Split]:
    schema, split = world
    columns = {"image": np.ascontiguousarray(split.columns["image"][..., ::-1])}
    return schema, Split(split.name, split.timestamps, split.labels, columns)


def assert_same(a, b) -> None:
    for name, tensor in a.module.state_dict().items():
        assert torch.equal(tensor, b.module.state_dict()[name]), name


# What is drawn


def test_areas_shapes_and_places_are_distributed_as_said():
    size, scale, ratio = 4000, (0.1, 0.5), (1.0, 3.0)
    boxes = RandomResizedCrop(scale=scale, ratio=ratio).boxes(draws(5000), height=size, width=2 * size)
    areas = boxes.height * boxes.width / (2 * size * size)
    assert stats.kstest(areas, stats.uniform(0.1, 0.4).cdf).pvalue > 0.01
    ratios = np.log(boxes.width / boxes.height)
    assert stats.kstest(ratios, stats.uniform(0, np.log(3)).cdf).pvalue > 0.01
    assert stats.kstest(boxes.top / (size - boxes.height), stats.uniform.cdf).pvalue > 0.01
    assert stats.kstest(boxes.left / (2 * size - boxes.width), stats.uniform.cdf).pvalue > 0.01
    assert abs(stats.spearmanr(boxes.top, boxes.left).statistic) < 0.05
    assert abs(stats.spearmanr(areas, ratios).statistic) < 0.05


def test_every_place_of_a_box_is_reached():
    boxes = RandomResizedCrop(scale=(0.25, 0.25), ratio=(1, 1)).boxes(draws(500), height=8, width=8)
    assert set(boxes.height) == set(boxes.width) == {4}
    assert set(boxes.top) == set(boxes.left) == {0, 1, 2, 3, 4}


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    scale=st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)).map(sorted),
    ratio=st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)).map(sorted),
)
@settings(deadline=None)
def test_boxes_lie_within_the_image(height, width, scale, ratio):
    boxes = RandomResizedCrop(scale=scale, ratio=ratio).boxes(draws(20), height=height, width=width)
    assert (boxes.height >= 1).all()
    assert (boxes.width >= 1).all()
    assert (boxes.top >= 0).all()
    assert (boxes.left >= 0).all()
    assert (boxes.top + boxes.height <= height).all()
    assert (boxes.left + boxes.width <= width).all()


@pytest.mark.parametrize(("height", "width", "box"), [(10, 100, (0, 43, 10, 13)), (100, 10, (43, 0, 13, 10))])
def test_where_no_box_fits_it_is_the_largest_in_the_middle(height, width, box):
    boxes = RandomResizedCrop(scale=(1, 1)).boxes(draws(3), height=height, width=width)
    assert {tuple(one) for one in zip(*map(np.ndarray.tolist, boxes), strict=True)} == {box}


def test_a_crop_is_the_enlarged_slice_of_the_image():
    generator = torch.Generator().manual_seed(0)
    given = torch.rand(6, 3, 24, 32, generator=generator)
    boxes = RandomResizedCrop(scale=(0.08, 1)).boxes(draws(6), height=24, width=32)
    known = zip(boxes, (2, 5, 12, 16), strict=True)  # the last one half as high and wide, at a place of its own
    boxes = Boxes(*(np.concatenate([drawn, [value]])[-6:] for drawn, value in known))
    cropped = crop_and_resize(given, boxes)
    for image, out, top, left, height, width in zip(given, cropped, *boxes, strict=True):
        part = image[None, :, top : top + height, left : left + width]
        expected = interpolate(part, size=(24, 32), mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)


def test_a_crop_of_everything_is_the_image():
    given = torch.rand(3, 1, 17, 23)
    whole = RandomResizedCrop(scale=(1, 1), ratio=(23 / 17, 23 / 17))
    torch.testing.assert_close(whole(given, draws(3)), given, rtol=0, atol=1e-5)


def test_half_of_the_images_are_mirrored_and_no_other_changes():
    given = torch.rand(1000, 1, 2, 3)
    flipped = HorizontalFlip()(given, draws(1000))
    is_flipped = (flipped == torch.from_numpy(given.numpy()[..., ::-1].copy())).all(dim=(1, 2, 3))
    stayed = (flipped == given).all(dim=(1, 2, 3))
    assert (is_flipped ^ stayed).all()
    assert stats.binomtest(int(is_flipped.sum()), 1000).pvalue > 0.01
    assert torch.equal(HorizontalFlip(probability=0)(given, draws(1000)), given)
    assert torch.equal(HorizontalFlip(probability=1)(given, draws(1000)), given.flip(3))


@pytest.mark.parametrize("augment", [RandomResizedCrop(), HorizontalFlip()])
def test_what_becomes_of_an_image_does_not_depend_on_its_batch(augment):
    given, positions = torch.rand(9, 3, 8, 8), np.array([5, 0, 7, 1, 3, 2, 8, 6, 4])
    together = augment(given, Draws(positions, 0, "x"))
    for place in range(9):
        alone = augment(given[place : place + 1], Draws(positions[place : place + 1], 0, "x"))
        assert torch.equal(alone[0], together[place])
    assert not torch.equal(together, augment(given, Draws(positions, 0, "y")))
    assert not torch.equal(together, augment(given, Draws(positions, 1, "x")))


def test_draws_are_uniform_and_independent():
    a, b = draws(20_000).uniform("a"), draws(20_000).uniform("b")
    assert stats.kstest(a, stats.uniform.cdf).pvalue > 0.01
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.03
    assert np.array_equal(a, draws(20_000).uniform("a"))


def test_other_inputs_beside_images_stay():
    inputs = {"image": torch.rand(4, 1, 6, 6), "numeric": torch.rand(4, 2)}
    augmented = HorizontalFlip(probability=1)(inputs, draws(4))
    assert torch.equal(augmented["image"], inputs["image"].flip(-1))
    assert augmented["numeric"] is inputs["numeric"]


# In a training


@pytest.mark.parametrize("downsampler", [None, Hardest(ratio=0.3), Hardest(ratio=0.02)])
def test_training_on_mirrored_images_is_mirroring_while_training(downsampler):
    """To the bit; what is scored in a pool is what is trained on, and a pool may be larger than what passes at once."""
    world = images(60)
    augmented = trainer_of(world, FLAT, augmentation=MIRROR, batch_size=8)
    plain = trainer_of(mirrored(world), FLAT, batch_size=8)
    one = augmented.fit(every(60), None, last_key=59, downsampler=downsampler)
    other = plain.fit(every(60), None, last_key=59, downsampler=downsampler)
    assert_same(one, other)
    assert one.forward_passes == other.forward_passes
    unaugmented = trainer_of(world, FLAT, batch_size=8).fit(every(60), None, last_key=59, downsampler=downsampler)
    assert not torch.equal(one.module.head.weight, unaugmented.module.head.weight)


@pytest.mark.parametrize("augmentation", [MIRROR, BOTH])
def test_nothing_but_training_batches_is_augmented(augmentation):
    world = images(60)
    trained = trainer_of(world, FLAT, augmentation=augmentation).fit(every(60), None, last_key=59)
    pixels = torch.from_numpy(world[1].columns["image"]).float() / 255
    with torch.no_grad():
        logits = trained.module(pixels)
    predictions = predict(trained.module, trained.preprocessor, world[1])
    np.testing.assert_array_equal(predictions.predicted, logits.argmax(1).numpy())
    losses = cross_entropy(logits, torch.from_numpy(world[1].labels), reduction="none").numpy()
    np.testing.assert_allclose(predictions.loss, losses, rtol=1e-4, atol=1e-6)
    second = trainer_of(world, FLAT, augmentation=augmentation).second("irreducible")
    np.testing.assert_allclose(second.losses(trained, np.arange(60)), losses, rtol=1e-4, atol=1e-6)


def test_a_whole_set_is_scored_as_it_is_and_a_pool_as_it_is_trained_on():
    """The one loss there is at first chooses: that of plain images, or of mirrored ones."""
    world, options = images(60), {"epochs": 1, "batch_size": 60}
    uses = {}
    for mode in ("sample_then_batch", "batch_then_sample"):
        policy = Hardest(ratio=0.5, mode=mode)
        for name, trainer in (
            ("augmented", trainer_of(world, FLAT, augmentation=MIRROR, **options)),
            ("plain", trainer_of(world, FLAT, **options)),
            ("mirrored", trainer_of(mirrored(world), FLAT, **options)),
        ):
            trained = trainer.fit(every(60), None, last_key=59, downsampler=policy)
            uses[mode, name] = trained.uses["num_uses"].tolist()
    assert uses["sample_then_batch", "augmented"] == uses["sample_then_batch", "plain"]
    assert uses["sample_then_batch", "plain"] != uses["sample_then_batch", "mirrored"]
    assert uses["batch_then_sample", "augmented"] == uses["batch_then_sample", "mirrored"]


def test_a_large_pool_is_augmented_in_parts_and_to_the_bit_the_same(monkeypatch):
    trainer = trainer_of(images(60), FLAT, augmentation=BOTH, batch_size=8)
    whole = trainer.fit(every(60), None, last_key=59, downsampler=Hardest(ratio=0.2))
    monkeypatch.setattr(augmenter, "BATCH_SIZE", 7)
    assert_same(whole, trainer.fit(every(60), None, last_key=59, downsampler=Hardest(ratio=0.2)))


def test_every_epoch_and_every_training_draws_anew():
    seen: list[torch.Tensor] = []
    trainer = trainer_of(images(4), {"_target_": f"{__name__}.Noting"}, augmentation=CROP, epochs=2, shuffle=False)
    Noting.seen = seen
    trainer.fit(every(4), None, last_key=3)
    trainer.fit(every(4), None, last_key=4)
    assert len(seen) == 4
    assert not any(torch.equal(a, b) for place, a in enumerate(seen) for b in seen[:place])
    trainer.fit(every(4), None, last_key=3)
    assert torch.equal(seen[4], seen[0])


class Noting(Flat):
    """Keeps what it is given."""

    seen: list[torch.Tensor] = []

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.seen.append(batch.clone())
        return super().forward(batch)


@pytest.mark.parametrize("size", [60, 65])
def test_two_devices_augment_as_one_does(size):
    world = images(size)
    two = trainer_of(world, FLAT, augmentation=BOTH, batch_size=8, devices=2)
    one = trainer_of(world, FLAT, augmentation=BOTH, batch_size=16)
    a, b = (trainer.fit(every(size), None, last_key=size - 1) for trainer in (two, one))
    for name, tensor in a.module.state_dict().items():
        torch.testing.assert_close(tensor, b.module.state_dict()[name], rtol=1e-4, atol=1e-6)
    assert_same(a, two.fit(every(size), None, last_key=size - 1))


def test_training_goes_on_from_a_saved_model_to_the_bit(tmp_path):
    trainer = trainer_of(images(60), FLAT, augmentation=BOTH)
    parent = trainer.fit(every(30), None, last_key=29)
    trainer.save(parent, tmp_path)
    anew = trainer_of(images(60), FLAT, augmentation=BOTH)
    later = Selection.unweighted(np.arange(30, 60))
    assert_same(trainer.fit(later, parent, last_key=59), anew.fit(later, anew.load(tmp_path), last_key=59))


# Augmentations of others


class Scaled(nn.Module):
    """A user's: draws from torch's global state, and has a tensor of its own."""

    def __init__(self, strength: float = 0.5) -> None:
        super().__init__()
        self.register_buffer("strength", torch.tensor(strength))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch * (1 - self.strength * torch.rand(len(batch), 1, 1, 1, device=batch.device))


class Brighter:
    """A user's: takes draws."""

    def __call__(self, batch: torch.Tensor, draws: Draws) -> torch.Tensor:
        return batch + torch.from_numpy(draws.uniform("light")).to(batch)[:, None, None, None]


def halved(batch: torch.Tensor) -> torch.Tensor:
    return batch[:, :, ::2]


class Failing:
    """A user's that fails."""

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        raise KeyError("brightness")


def make_halved():
    return halved


@pytest.mark.parametrize("name", ["Scaled", "Brighter"])
def test_a_users_own_is_seeded_too(name):
    options = {"augmentation": {"own": {"_target_": f"{__name__}.{name}"}, "flip": FLIP}}
    trainer = trainer_of(images(60), FLAT, **options)
    trainer.rehearse()
    one, other = (trainer.fit(every(60), None, last_key=59) for _ in range(2))
    assert_same(one, other)
    unscaled = trainer_of(images(60), FLAT, augmentation={"flip": FLIP}).fit(every(60), None, last_key=59)
    assert not torch.equal(one.module.head.weight, unscaled.module.head.weight)


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (
            {"crop": {**CROP, "scale": [0, 1]}},
            r"training.augmentation.crop: .* scale=\[0, 1\] must be \[least",
        ),
        ({"crop": {**CROP, "ratio": [2, 1]}}, r"training.augmentation.crop: .* ratio=\[2, 1\] must be"),
        ({**FLIP, "probability": 2}, r"training.augmentation: .* probability=2 must be in \[0, 1\]"),
        ({"crop": 3}, r"training.augmentation.crop=3 must have a _target_, or be left out as in ~training"),
        ({"_target_": "torch.Size"}, r"training.augmentation: torch.Size makes a Size, which cannot be called"),
        (
            {"own": {"_target_": f"{__name__}.make_halved"}},
            r"training.augmentation.own turned image, torch.float32 of shape \(2, 1, 8, 8\), into torch.float32 of "
            r"shape \(2, 1, 4, 8\): an augmentation keeps both",
        ),
        (
            {"_target_": f"{__name__}.Failing"},
            r"training.augmentation fails on a batch of 2 samples: KeyError: 'brightness' \(.*test_augmentation.py, l",
        ),
    ],
)
def test_what_is_wrong_is_told_before_a_run_begins(augmentation, message):
    with pytest.raises(RequestError, match=message):
        trainer_of(images(8), FLAT, augmentation=augmentation).rehearse()


def test_a_dataset_without_images_is_told():
    with pytest.raises(
        RequestError, match=r"training.augmentation.crop: RandomResizedCrop needs images, and the datas"
    ):
        trainer_of(numbers(), LINEAR, augmentation=BOTH).rehearse()


def with_numbers(size: int = 20) -> tuple[Schema, Split]:
    """Images beside two numeric features."""
    schema, split = images(size)
    schema = Schema((*schema.inputs, Column("numeric", "numeric", "float32", (2,), ("a", "b"))), schema.classes)
    columns = {**split.columns, "numeric": np.zeros((size, 2), dtype=np.float32)}
    return schema, Split(split.name, split.timestamps, split.labels, columns)


def test_images_among_other_inputs_are_augmented():
    trainer = trainer_of(with_numbers(), FLAT, augmentation=MIRROR)
    trainer.rehearse()
    assert_same(
        trainer.fit(every(20), None, last_key=19),
        trainer_of(mirrored(images(20)), FLAT).fit(every(20), None, last_key=19),
    )


# In configurations


def test_the_group_is_composed_and_changed_key_by_key():
    group = ["training/augmentation=crop_and_flip"]
    default = TrainingConfig().augmentation
    (plain,), (both,) = check_jobs([]), check_jobs(group)
    assert plain.config["training"]["augmentation"] is default is None
    assert list(both.config["training"]["augmentation"]) == ["crop", "flip"]
    (none,) = check_jobs(["training/augmentation=none"])
    assert none.config["training"] == plain.config["training"]
    (changed,) = check_jobs([*group, "~training.augmentation.flip", "training.augmentation.crop.scale=[0.5,1]"])
    assert changed.config["training"]["augmentation"] == {
        "crop": {**CROP, "scale": [0.5, 1], "ratio": [0.75, 1.3333333333333333]}
    }
    with pytest.raises(RequestError, match=r"training.augmentation.crop.scales: unknown key; did you mean 'scale'\?"):
        check_jobs([*group, "+training.augmentation.crop.scales=[1,1]"])
    with pytest.raises(RequestError, match=r"training/augmentation=crop_flip: no such option; did you mean 'crop_and"):
        check_jobs(["training/augmentation=crop_flip"])
