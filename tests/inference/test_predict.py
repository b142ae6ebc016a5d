"""Predictions of a whole split, judged by scikit-learn and by definitions in plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn
from worlds import numbers, table, trainer_of

from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.data.store import Column, Schema, Split
from modyn_bench.errors import RequestError, RunError
from modyn_bench.inference.predict import predict
from modyn_bench.metrics import compute
from modyn_bench.types import Predictions, Selection


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch * self.factor


def predicted_from(logits: np.ndarray, labels: np.ndarray, *, factor: float = 1.0, **options) -> Predictions:
    """Predictions of a model whose outputs are its inputs times a factor; inputs are cut at 5."""
    num_classes = logits.shape[1]
    names = tuple(str(i) for i in range(num_classes))
    schema = Schema((Column("numeric", "numeric", "float32", (num_classes,), names),), names)
    split = Split("test", np.arange(len(logits)), labels, {"numeric": logits})
    as_they_are = Preprocessor(schema, mean=np.zeros(num_classes), scale=np.ones(num_classes))
    return predict(Times(factor), as_they_are, split, **options)


@settings(deadline=None)
@given(st.data())
def test_ranks_classes_and_losses_by_definition_ties_included(data):
    size, num_classes = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 6))
    few = st.sampled_from([-3.0, 0.0, 0.5, 0.5, 2.0])  # few values: many ties
    logits = data.draw(hnp.arrays(np.float32, (size, num_classes), elements=few))
    labels = data.draw(hnp.arrays(np.int64, size, elements=st.integers(0, num_classes - 1)))
    found = predicted_from(logits, labels, batch_size=data.draw(st.integers(1, 40)), keep_probabilities=True)
    order = [sorted(range(num_classes), key=lambda c, row=row: (-row[c], c)) for row in logits]
    assert found.predicted.tolist() == [ranked[0] for ranked in order]
    assert found.label_rank.tolist() == [ranked.index(label) for ranked, label in zip(order, labels, strict=True)]
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.confidence, probabilities.max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.label_probability, probabilities[np.arange(size), labels], rtol=1e-5)
    np.testing.assert_allclose(found.probabilities, probabilities, rtol=2e-3)
    np.testing.assert_allclose(found.loss, -np.log(probabilities[np.arange(size), labels]), rtol=1e-4, atol=1e-6)
    if num_classes > 1:
        judge = log_loss(labels, probabilities, labels=range(num_classes))
        assert found.loss.mean() == pytest.approx(judge, rel=1e-4)


def test_types_and_shapes_are_those_of_the_record():
    found = predicted_from(np.zeros((5, 3), np.float32), np.zeros(5, np.int64))
    assert found.first_key == 0
    assert found.probabilities is None
    assert [array.dtype for array in (found.predicted, found.label_rank)] == [np.int32] * 2
    assert [array.dtype for array in (found.label_probability, found.loss)] == [np.float32] * 2
    assert found.confidence.dtype == np.float64


def test_a_sure_model_keeps_the_order_in_which_it_is_sure():
    """All probabilities of the first class are 1 in float32, so that its odds against the second are what orders."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 200)
    margins = generator.uniform(22, 34, 200).astype(np.float32) - 4 * labels.astype(np.float32)
    found = predicted_from(np.stack([margins, np.zeros_like(margins)], axis=1) / 8, labels, factor=8.0)
    assert (found.confidence.astype(np.float32) == 1).all()
    area = compute("roc_auc", found, labels, np.array([[0, 200]]), num_classes=2)[0]
    assert area == pytest.approx(roc_auc_score(labels, -margins), abs=1e-12)
    assert 0.6 < area < 0.9
    exact = np.where(labels == 0, np.log1p(np.exp(-margins.astype(np.float64))), margins)
    np.testing.assert_allclose(found.loss, exact, rtol=1e-5)


def test_one_pass_over_every_sample_in_eval_mode_and_the_mode_restored():
    schema, split = table()
    trainer = trainer_of((schema, split), {"_target_": "modyn_bench.models.TabularMLP", "dropout": 0.5})
    trained = trainer.fit(Selection.unweighted(np.arange(100)), None, last_key=99)
    passed: list[int] = []
    trained.module.register_forward_hook(lambda module, args, output: passed.append(len(output)))
    told: list[int] = []
    a = predict(trained.module, trained.preprocessor, split, batch_size=64, on_samples=told.append)
    assert sum(passed) == sum(told) == len(split)
    assert max(passed) == 64
    b = predict(trained.module, trained.preprocessor, split, batch_size=64)
    assert a.loss.tobytes() == b.loss.tobytes()  # no dropout
    assert all(layer.training for layer in trained.module.modules())


def test_more_than_a_super_batch_gives_the_same_bits(monkeypatch):
    import modyn_bench.data.loading as loading

    logits = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    labels = np.arange(500) % 4
    whole = predicted_from(logits, labels, batch_size=16)
    monkeypatch.setattr(loading, "SUPER_BATCH_ROWS", 64)
    pieces = predicted_from(logits, labels, batch_size=16)
    assert whole.loss.tobytes() == pieces.loss.tobytes()


def test_an_empty_split_has_no_predictions():
    assert len(predicted_from(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))) == 0


class Silent(nn.Module):
    def __init__(self, value: float, num_classes: int) -> None:
        super().__init__()
        self.value, self.num_classes = value, num_classes

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.full((len(batch), self.num_classes), self.value)


def test_models_that_return_nan_or_the_wrong_shape_are_named():
    schema, split = numbers()
    preprocessor = Preprocessor.fit(schema, split, np.arange(50))
    with pytest.raises(RunError, match="Silent returned NaN for sample 0"):
        predict(Silent(float("nan"), 3), preprocessor, split)
    with pytest.raises(RequestError, match=r"Silent returned shape \(200, 2\)"):
        predict(Silent(0.0, 2), preprocessor, split)
    with (
        pytest.raises(RequestError, match="accelerator=gpu")
        if not torch.cuda.is_available()
        else pytest.raises(RunError)
    ):
        predict(Silent(float("nan"), 3), preprocessor, split, device="gpu")
