"""Scores of downsampling: what is trained on first, and the definitions by autograd and in float64."""

from __future__ import annotations

import math
from operator import attrgetter

import pytest
import torch
from choosing import chosen, outputs_of
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from modyn_bench.selectors.downsampling.base import Downsampler, Outputs
from modyn_bench.selectors.downsampling.el2n import El2n
from modyn_bench.selectors.downsampling.entropy import Entropy
from modyn_bench.selectors.downsampling.grad_norm import GradNorm
from modyn_bench.selectors.downsampling.least_confidence import LeastConfidence
from modyn_bench.selectors.downsampling.loss import Loss
from modyn_bench.selectors.downsampling.margin import Margin
from modyn_bench.selectors.downsampling.rho_loss import RhoLoss
from modyn_bench.selectors.downsampling.scored import Scored

SURE_AND_RIGHT, UNSURE, SURE_AND_WRONG = [9.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 9.0, 0.0]
BETWEEN_TWO = [5.0, 4.9, -20.0]
IRREDUCIBLE = "irreducible_loss"
NAME = attrgetter("name")

FIRST_OF = [  # policy, logits (of class 0), which come first
    (Loss(draw="top_k"), [SURE_AND_RIGHT, UNSURE, SURE_AND_WRONG], [2, 1, 0]),
    (GradNorm(draw="top_k"), [SURE_AND_RIGHT, UNSURE, SURE_AND_WRONG], [2, 1, 0]),
    (El2n(), [SURE_AND_RIGHT, UNSURE, SURE_AND_WRONG], [2, 1, 0]),
    (LeastConfidence(), [SURE_AND_RIGHT, BETWEEN_TWO, UNSURE], [2, 1, 0]),
    (Margin(), [SURE_AND_RIGHT, UNSURE, [5.0, 4.99, -20.0]], [2, 1, 0]),
    (Entropy(), [SURE_AND_RIGHT, BETWEEN_TWO, UNSURE], [2, 1, 0]),
]


@pytest.mark.parametrize(("policy", "logits", "order"), FIRST_OF, ids=lambda value: getattr(value, "name", ""))
def test_what_should_be_trained_on_first_is_chosen_first(
    policy: Downsampler, logits: list[list[float]], order: list[int]
) -> None:
    for budget in (1, 2, 3):
        choice = chosen(policy, outputs_of(logits), budget)
        assert choice.positions.tolist() == sorted(order[:budget])
        assert choice.weights is None


@pytest.mark.parametrize(
    "policy", [Loss(), GradNorm(), Loss(draw="multinomial_reference")], ids=lambda policy: policy.name
)
def test_what_should_be_trained_on_first_is_drawn_most_often(policy: Downsampler) -> None:
    outputs = outputs_of([SURE_AND_RIGHT, UNSURE, SURE_AND_WRONG])
    counts = torch.zeros(3)
    for epoch in range(300):
        counts[chosen(policy, outputs, 1, epoch=epoch).positions] += 1
    assert counts.argsort(descending=True).tolist() == [2, 1, 0]


def test_what_can_be_learnt_and_is_not_yet_learnt_is_chosen_first() -> None:
    learnt, noise, learnable = SURE_AND_RIGHT, SURE_AND_WRONG, UNSURE
    columns = {IRREDUCIBLE: torch.tensor([0.0, 9.0, 0.1])}
    outputs = outputs_of([learnt, noise, learnable], columns=columns)
    assert chosen(RhoLoss(), outputs, 1).positions.tolist() == [2]


@pytest.mark.parametrize(
    "policy", [LeastConfidence(), Margin(), Entropy(), RhoLoss(), Loss(draw="top_k")], ids=lambda policy: policy.name
)
def test_of_equal_scores_the_first_are_chosen(policy: Downsampler) -> None:
    outputs = outputs_of([UNSURE] * 6, columns={IRREDUCIBLE: torch.zeros(6)})
    assert chosen(policy, outputs, 3).positions.tolist() == [0, 1, 2]


@pytest.mark.parametrize("policy", [LeastConfidence(), Margin(), Entropy()], ids=NAME)
def test_the_least_sure_of_very_sure_predictions_is_told(policy: Scored) -> None:
    sure = torch.tensor([20.0, 50.0, 90.0, 120.0, 500.0, 3000.0])  # as float32, all but the first are certain
    logits = torch.stack([sure, torch.zeros(6), torch.full((6,), -1.0)], dim=1)
    scores = policy.score(outputs_of(logits))
    assert scores.isfinite().all()
    assert (scores.diff() < 0).all()
    assert (policy.score(outputs_of(logits + 1000.0)).diff() < 0).all()  # what is added to all logits says nothing


def test_the_entropy_of_two_classes_is_told_at_any_distance() -> None:
    distances = torch.cat([torch.arange(0.0, 130.0, 0.25), torch.tensor([1e3, 1e4])])
    scores = Entropy().score(outputs_of(torch.stack([distances, torch.zeros_like(distances)], dim=1)))
    exact = distances.double()
    entropy = torch.log1p(torch.exp(-exact)).log()
    entropy[exact > 30] = -exact[exact > 30]  # of the first term, which is log(1 + x) of a small x
    wanted = torch.logaddexp(entropy, exact.log() - exact - torch.log1p(torch.exp(-exact)))
    assert torch.allclose(scores.double(), wanted, rtol=1e-6, atol=1e-6)
    assert (scores.diff()[4:] < 0).all()


def test_margins_that_are_nearly_nothing_are_told_apart() -> None:
    logits = [[1e-9, 0.0], [1e-8, 0.0], [0.0, 0.0], [1e-7, 0.0]]
    assert Margin().score(outputs_of(logits)).argsort(descending=True).tolist() == [2, 0, 1, 3]


def definition(policy: Scored, logits: torch.Tensor) -> torch.Tensor:
    """The score as it is written in books, in float64, where these logits need no care."""
    probabilities = logits.double().softmax(dim=1)
    first, second = probabilities.topk(2, dim=1).values.T
    if isinstance(policy, LeastConfidence):
        return torch.log((1 - first) / first)
    if isinstance(policy, Margin):
        return torch.log((1 - (first - second)) / (first - second))
    return torch.log(-(probabilities * probabilities.log()).sum(dim=1))


@pytest.mark.parametrize("policy", [LeastConfidence(), Margin(), Entropy()], ids=NAME)
@given(st.lists(st.lists(st.floats(-8, 8, width=32), min_size=4, max_size=4), min_size=1, max_size=8))
def test_uncertainty_is_its_definition(policy: Scored, rows: list[list[float]]) -> None:
    logits = torch.tensor(rows)
    scores, wanted = policy.score(outputs_of(logits)).double(), definition(policy, logits)
    tied = wanted.isinf() | (wanted > 12)  # margins that float64 rounds too, as the definition is written
    assert torch.allclose(scores[~tied], wanted[~tied], atol=2e-5, rtol=1e-5)
    assert (scores[tied] > 11).all()


@pytest.mark.parametrize("policy", [LeastConfidence(), Margin(), Entropy()], ids=NAME)
@pytest.mark.parametrize("logits", [[[3.0], [1.0]], [[-math.inf, 1.0, 0.0], [-math.inf, 5.0, 0.0]]])
def test_a_single_class_and_classes_that_are_ruled_out(policy: Scored, logits: list[list[float]]) -> None:
    outputs = Outputs(torch.tensor(logits), torch.zeros(2, dtype=torch.int64), None, None, None, {})
    assert not policy.score(outputs).isnan().any()
    assert chosen(policy, outputs, 1).positions.tolist() == [0]


def embedded(network: nn.Sequential, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    embeddings = network[:-1](inputs)
    return network[-1](embeddings), embeddings


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_losses_and_gradient_norms_are_those_of_autograd(label_smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4))
    for parameter in network.parameters():
        parameter.data.normal_(generator=generator)
    inputs, labels = torch.randn(9, 5, generator=generator), torch.arange(9) % 4
    logits, embeddings = embedded(network, inputs)
    outputs = outputs_of(logits.detach(), labels, embeddings=embeddings.detach(), label_smoothing=label_smoothing)
    of_outputs, of_layer = GradNorm().score(outputs), GradNorm(of="last_layer").score(outputs)
    for i in range(9):
        own, _ = embedded(network, inputs[i : i + 1])
        loss = cross_entropy(own, labels[i : i + 1], label_smoothing=label_smoothing)
        by_logits, *by_layer = torch.autograd.grad(loss, [own, *network[-1].parameters()])
        assert Loss().score(outputs)[i].item() == pytest.approx(loss.item(), rel=1e-5)
        assert of_outputs[i].item() == pytest.approx(by_logits.norm().item(), rel=1e-4)
        whole = torch.cat([gradient.flatten() for gradient in by_layer])
        assert of_layer[i].item() == pytest.approx(whole.norm().item(), rel=1e-4)


def test_the_last_layers_gradient_asks_for_the_embedding() -> None:
    assert GradNorm().needs == ("gradient",)
    assert GradNorm(of="last_layer").needs == ("gradient", "embedding")


def test_an_error_norm_is_its_definition() -> None:
    outputs = outputs_of([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]], [0, 2])
    wanted = (outputs.logits.softmax(dim=1) - torch.eye(3)[outputs.labels]).norm(dim=1)
    record = El2n().record(outputs, torch.full((2, 1), torch.nan))
    assert torch.allclose(record[:, 0], wanted)
    assert torch.allclose(record[:, 0], GradNorm().score(outputs))  # of cross-entropy, they are the same
