"""The reducible holdout loss: who is held out, by whom each sample is judged, and what is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modyn_bench.errors import RequestError
from modyn_bench.preflight import check_jobs
from modyn_bench.seeding import derive
from modyn_bench.selectors.base import SelectionContext
from modyn_bench.selectors.downsampling.rho_loss import RhoLoss
from modyn_bench.types import Arrivals, FloatArray, IntArray, Selection


@dataclass
class Trained:
    """A second model that remembers what it has seen; the loss of a key is ten times the key, and its number."""

    number: int
    seen: IntArray
    options: Mapping[str, Any]
    judged: list[int] = field(default_factory=list)

    def losses(self, keys: IntArray) -> FloatArray:
        self.judged += keys.tolist()
        return keys * 10.0 + self.number


class Trainings:
    """Stands in for the trainer, and records what it was asked for."""

    def __init__(self) -> None:
        self.models: dict[str, Trained] = {}

    def __call__(self, name: str, selection: Selection, **options: object) -> Trained:
        assert (selection.weights == 1).all()
        assert name not in self.models
        self.models[name] = Trained(len(self.models), selection.keys, options)
        return self.models[name]


def prepared(policy: RhoLoss, num_samples: int, *, seed: int = 0, first: int = 0) -> tuple[Selection, Trainings]:
    keys, trainings = np.arange(first, first + num_samples), Trainings()
    policy.consume(Arrivals(keys, keys, keys))
    context = SelectionContext(
        trigger_index=0,
        num_labelled=first + num_samples,
        generator=derive(seed, "selection"),
        labels=lambda keys: keys % 3,
        timestamps=lambda keys: keys,
        seed=seed,
        column=lambda name, keys: keys,
        train=trainings,
    )
    return policy.select(context), trainings


def test_a_share_is_held_out_and_the_rest_is_trained_on() -> None:
    selection, trainings = prepared(RhoLoss(holdout_ratio=0.3, irreducible_epochs=2), 2000)
    (model,) = trainings.models.values()
    assert list(trainings.models) == ["irreducible"]
    assert sorted([*model.seen, *selection.keys]) == list(range(2000))
    assert selection.held_out.tolist() == model.seen.tolist()
    assert abs(len(model.seen) - 600) < 5 * np.sqrt(2000 * 0.21)
    assert model.judged == selection.keys.tolist()
    assert model.options == {"model": None, "epochs": 2}
    np.testing.assert_allclose(selection.columns["irreducible_loss"], selection.keys * 10.0)
    assert selection.columns["irreducible_loss"].dtype == np.float32


def test_what_is_held_out_may_be_trained_on_too() -> None:
    selection, trainings = prepared(RhoLoss(train_on_holdout=True), 100)
    (model,) = trainings.models.values()
    assert selection.keys.tolist() == model.judged == list(range(100))
    assert not len(selection.held_out)
    assert 0 < len(model.seen) < 30


def test_no_twin_judges_what_it_has_seen() -> None:
    selection, trainings = prepared(RhoLoss(holdout="twin"), 1000)
    first, second = (trainings.models[f"irreducible_{number}"] for number in range(2))
    assert selection.keys.tolist() == sorted([*first.seen, *second.seen]) == list(range(1000))
    assert not len(selection.held_out)
    assert first.judged == second.seen.tolist()
    assert second.judged == first.seen.tolist()
    assert abs(len(first.seen) - 500) < 5 * np.sqrt(250)
    judge = np.isin(selection.keys, first.seen)  # those are the second's to judge, whose number is 1
    np.testing.assert_allclose(selection.columns["irreducible_loss"], selection.keys * 10.0 + judge)


@pytest.mark.parametrize("holdout", ["simple", "twin"])
def test_sides_stay_the_same_at_every_trigger_and_differ_between_seeds(holdout: str) -> None:
    policy = RhoLoss(holdout=holdout)
    all_keys = np.arange(5000)
    sides = policy.held_out(all_keys, 0)
    for start, stop in ((0, 10), (7, 4000), (4999, 5000)):
        assert (policy.held_out(all_keys[start:stop], 0) == sides[start:stop]).all()
    other = policy.held_out(all_keys, 1)
    share = policy.holdout_ratio
    assert abs((sides & other).mean() - share**2) < 5 * np.sqrt(share**2 * (1 - share**2) / 5000)
    narrow = RhoLoss(holdout_ratio=0.01).held_out(all_keys, 0)
    assert set(np.flatnonzero(narrow)) <= set(np.flatnonzero(sides))  # a larger share holds the smaller one


class Renamed(RhoLoss):
    """A policy of one's own that builds on it."""

    name = "renamed"


def test_a_policy_that_builds_on_it_has_its_sides() -> None:
    keys = np.arange(5000)
    for ratio in (0.1, 0.5):
        sides = RhoLoss(holdout_ratio=ratio).held_out(keys, 3)
        assert (Renamed(holdout_ratio=ratio).held_out(keys, 3) == sides).all()


@pytest.mark.parametrize("options", [{}, {"holdout": "twin"}, {"train_on_holdout": True}])
def test_where_a_side_is_empty_all_are_trained_on_by_their_loss(options: dict[str, Any]) -> None:
    for key in range(40):
        selection, trainings = prepared(RhoLoss(**options), 1, first=key)
        assert selection.keys.tolist() == [key]
        assert selection.columns["irreducible_loss"].tolist() == [0]
        assert not trainings.models


def test_nothing_is_trained_in_the_warm_up_or_without_samples() -> None:
    selection, trainings = prepared(RhoLoss(warmup_triggers=1), 50)
    assert len(selection) == 50
    assert not selection.columns
    assert not trainings.models


def test_the_limit_comes_first() -> None:
    selection, trainings = prepared(RhoLoss(limit=200), 1000)
    (model,) = trainings.models.values()
    assert sorted([*model.seen, *selection.keys]) == list(range(800, 1000))


def test_a_model_of_its_own_is_handed_on_as_it_is_configured() -> None:
    from hydra.utils import instantiate

    overrides = ["selector=rho_loss", "+model@selector.irreducible_model=tabular_mlp"]
    (job,) = check_jobs([*overrides, "selector.irreducible_model.hidden=[8]"])
    policy = instantiate(job.config["selector"], _convert_="all")
    _, trainings = prepared(policy, 100)
    (trained,) = trainings.models.values()
    model = trained.options["model"]
    assert type(model) is dict
    assert model["_target_"] == "modyn_bench.models.TabularMLP"
    assert model["hidden"] == [8]


def test_a_wrong_option_of_its_model_is_told_before_anything_starts(tmp_path: Path) -> None:
    overrides = ["selector=rho_loss", "+model@selector.irreducible_model=tabular_mlp"]
    with pytest.raises(RequestError, match=r"selector.irreducible_model.hiden: unknown key; did you mean 'hidden'"):
        check_jobs([*overrides, "+selector.irreducible_model.hiden=8"])
    weights = tmp_path / "a.safetensors"
    begun = [f"+selector.irreducible_model.initial_weights={weights}", "+selector.irreducible_model.fresh_layers=[b]"]
    with pytest.raises(RequestError, match=r"irreducible_model.initial_weights=.*a.safetensors: there is no such file"):
        check_jobs([*overrides, *begun])
    weights.touch()
    check_jobs([*overrides, *begun])
    check_jobs([*overrides, "+selector.irreducible_model.embedding_layer=head"])
    with pytest.raises(RequestError, match=r"selector.irreducible_model='tabular_mlp' must be a mapping or null"):
        check_jobs(["selector=rho_loss", "selector.irreducible_model=tabular_mlp"])


def test_its_model_is_not_imported_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model_that_is_read.py").write_text(
        "raise RuntimeError\nclass Net:\n    def __init__(self, size): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = "selector.irreducible_model={_target_: model_that_is_read.Net, %s: 3}"
    check_jobs(["selector=rho_loss", model % "size"])
    with pytest.raises(RequestError, match=r"selector.irreducible_model.width: unknown key"):
        check_jobs(["selector=rho_loss", model % "width"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"holdout": "triplet"}, r"selector.holdout='triplet' must be simple or twin"),
        ({"holdout_ratio": 1.0}, r"selector.holdout_ratio=1.0 must be a fraction in \(0, 1\)"),
        ({"holdout": "twin", "holdout_ratio": 0.4}, r"selector.holdout_ratio=0.4 must be 0.5"),
        ({"irreducible_epochs": 0}, r"selector.irreducible_epochs=0 must be at least 1"),
        ({"irreducible_model": {"hidden": [8]}}, r"selector.irreducible_model must be a model's configuration"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        RhoLoss(**options)
    assert RhoLoss(holdout="twin", holdout_ratio=0.5).holdout_ratio == 0.5
