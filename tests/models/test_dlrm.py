"""DLRM, judged by its definition in NumPy, and by counting."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modyn_bench.data.preprocessing import InputSpec
from modyn_bench.errors import RequestError
from modyn_bench.models import DLRM
from modyn_bench.models.build import build_model, copies_faithfully
from modyn_bench.training.optimizers import build_optimizers

PAPER = {"embedding_dim": 128, "bottom": [512, 256, 128], "top": [1024, 1024, 512, 256]}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def batch_of(size: int, num_features: int, cardinalities: list[int]) -> dict[str, torch.Tensor]:
    generator = np.random.default_rng(size)
    ids = np.stack([generator.integers(0, count, size) for count in cardinalities], axis=1)
    numbers = generator.standard_normal((size, num_features)).astype(np.float32)
    return {"numeric": torch.from_numpy(numbers), "categorical": torch.from_numpy(ids)}


def by_definition(model: DLRM, batch: dict[str, torch.Tensor], cardinalities: list[int]) -> np.ndarray:
    """Return the logits, row by row and pair by pair."""
    weights = {name: value.detach().numpy().astype(np.float64) for name, value in model.state_dict().items()}

    def perceptron(part: str, row: np.ndarray) -> np.ndarray:
        for layer in range(0, 100, 2):
            if f"{part}.{layer}.weight" not in weights:
                break
            row = np.maximum(weights[f"{part}.{layer}.weight"] @ row + weights[f"{part}.{layer}.bias"], 0)
        return row

    tables = np.split(weights["embedding.weight"], np.cumsum(cardinalities)[:-1])
    logits = []
    for numbers, ids in zip(batch["numeric"].numpy(), batch["categorical"].numpy(), strict=True):
        vectors = [perceptron("bottom", numbers), *(table[place] for table, place in zip(tables, ids, strict=True))]
        products = [vectors[i] @ vectors[j] for i in range(len(vectors)) for j in range(i)]
        hidden = perceptron("top", np.concatenate([vectors[0], products]))
        logits.append(weights["head.weight"] @ hidden + weights["head.bias"])
    return np.array(logits)


@pytest.mark.parametrize("top", [[], [6], [7, 5]])
@pytest.mark.parametrize("cardinalities", [[4], [3, 2, 9]])
def test_logits_are_those_of_the_definition(cardinalities, top):
    model = DLRM(num_features=2, cardinalities=cardinalities, num_classes=3, embedding_dim=4, bottom=[5, 4], top=top)
    batch = batch_of(11, 2, cardinalities)
    np.testing.assert_allclose(
        model(batch).detach().numpy(), by_definition(model, batch, cardinalities), rtol=1e-4, atol=1e-5
    )
    assert copies_faithfully(model)


def test_the_papers_network_has_as_many_parameters_as_are_counted_by_hand():
    cardinalities = [10 + i for i in range(26)]
    model = build_model(
        {
            "_target_": "modyn_bench.models.DLRM",
            "num_features": None,
            "cardinalities": None,
            "num_classes": None,
            **PAPER,
        },
        InputSpec(num_classes=2, num_features=13, cardinalities=tuple(cardinalities)),
    )
    products = 27 * 26 // 2
    sizes = [(13, 512), (512, 256), (256, 128), (128 + products, 1024), (1024, 1024), (1024, 512), (512, 256), (256, 2)]
    dense = sum(below * above + above for below, above in sizes)
    assert sum(parameter.numel() for parameter in model.parameters()) == dense + 128 * sum(cardinalities)
    assert dense == 2_369_154


def test_features_with_many_ids_share_rows():
    model = DLRM(num_features=1, cardinalities=[3, 10], num_classes=2, embedding_dim=4, bottom=[4], top=[], max_rows=4)
    assert model.embedding.num_embeddings == 3 + 4
    numbers = torch.zeros(3, 1)
    outputs = model({"numeric": numbers, "categorical": torch.tensor([[2, 1], [2, 9], [2, 2]])})
    torch.testing.assert_close(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])


def test_an_embedding_begins_within_bounds_that_its_number_of_rows_sets():
    model = DLRM(num_features=1, cardinalities=[4, 10_000], num_classes=2)
    small, large = model.embedding.weight.detach().abs().split([4, 10_000])
    assert 0.3 < small.max() <= 0.5
    assert 0.009 < large.max() <= 0.01


def test_embeddings_have_sparse_gradients_where_the_optimiser_takes_them():
    options = {"num_features": 1, "cardinalities": [50], "num_classes": 2}
    for config, sparse in (
        ({"_target_": "torch.optim.SGD", "lr": 0.1}, True),
        ({"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9}, False),
    ):
        model = DLRM(**options)
        build_optimizers(config, model)
        model(batch_of(8, 1, [50])).sum().backward()
        assert model.embedding.weight.grad.is_sparse == sparse


def test_dense_and_embeddings_have_optimisers_of_their_own_in_mixed_precision():
    model = DLRM(num_features=3, cardinalities=[20, 30], num_classes=2)
    sgd = {"_target_": "torch.optim.SGD", "lr": 1.0}
    optimizers = build_optimizers({"embeddings": {**sgd, "params": "^embedding"}, "dense": dict(sgd)}, model)
    owned = {name: sum(len(group["params"]) for group in one.param_groups) for name, one in optimizers.items()}
    assert owned == {"embeddings": 1, "dense": len(list(model.parameters())) - 1}
    batch, before = batch_of(64, 3, [20, 30]), [parameter.detach().clone() for parameter in model.parameters()]
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(batch)
    assert logits.dtype == torch.bfloat16
    torch.nn.functional.cross_entropy(logits.float(), batch["categorical"][:, 0] % 2).backward()
    for optimizer in optimizers.values():
        optimizer.step()
    assert not any(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_features": 0}, "the dataset has no numeric features"),
        ({"cardinalities": ()}, "the dataset has no categorical features"),
        ({"bottom": [8]}, r"model\.bottom=\[8\] must end with model\.embedding_dim=16"),
        ({"bottom": []}, "must end with"),
        ({"max_rows": 0}, r"model\.max_rows=0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changed, message):
    options = {"_target_": "modyn_bench.models.DLRM", **changed}
    with pytest.raises(RequestError, match=message):
        build_model(options, InputSpec(num_classes=2, num_features=1, cardinalities=(3,)))
