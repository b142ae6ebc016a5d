"""What a policy sees: the same bits however it asks, only what has arrived, and passes counted by key."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from worlds import images, numbers, table, text, trainer_of

from modyn_bench.data.preprocessing import Preprocessor
from modyn_bench.errors import ContractError
from modyn_bench.inference.cache import KeyedRows
from modyn_bench.inference.forward import Forward
from modyn_bench.inference.predict import predict
from modyn_bench.inference.view import ModelView
from modyn_bench.types import Selection

WORLDS = {"table": table(), "text": text(), "images": images(120)}
TRAINED = {
    name: trainer_of(world, epochs=1).fit(Selection.unweighted(np.arange(60)), None, last_key=59)
    for name, world in WORLDS.items()
}


def view_of(name: str, *, batch_size: int = 16, num_arrived: int = 100) -> ModelView:
    trained = TRAINED[name]
    view = ModelView(
        WORLDS[name][1], model_id=0, module=trained.module, preprocessor=trained.preprocessor, batch_size=batch_size
    )
    view.move_to(time=5, num_arrived=num_arrived, num_labelled=num_arrived - 20)
    return view


requests = st.lists(st.lists(st.integers(0, 99), max_size=40), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(WORLDS)), requests, st.lists(st.booleans(), min_size=5, max_size=5))
def test_cold_warm_and_chunked_calls_give_the_same_bits(name, asked, kinds):
    warm = view_of(name)
    whole = view_of(name)
    embeddings, probabilities = whole.embed(np.arange(100)), view_of(name).predict(np.arange(100))
    seen: dict[bool, set[int]] = {True: set(), False: set()}
    for keys, embeds in zip(asked, kinds, strict=False):
        array = np.array(keys, dtype=np.int64)
        rows = warm.embed(array) if embeds else warm.predict(array)
        if keys:
            assert rows.tobytes() == (embeddings if embeds else probabilities)[array].tobytes()
        seen[embeds] |= set(keys)
    assert warm.forward_passes >= len(seen[True] | seen[False])
    assert warm.forward_passes <= len(seen[True]) + len(seen[False])
    before = warm.forward_passes
    for embeds in (True, False):
        keys = np.array(sorted(seen[embeds]), dtype=np.int64)
        (warm.embed if embeds else warm.predict)(keys)
    assert warm.forward_passes == before  # a cached key costs nothing


def test_embeddings_are_the_last_layers_input_and_probabilities_sum_to_one():
    view, trained = view_of("table"), TRAINED["table"]
    keys = np.array([50, 3, 3, 98])
    embeddings, probabilities = view.embed(keys), view.predict(keys)
    logits = trained.module.head(torch.from_numpy(embeddings)).detach()
    np.testing.assert_allclose(probabilities, logits.softmax(dim=1).numpy(), rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert view.forward_passes == 3


def test_nothing_that_has_not_arrived_is_seen():
    view = view_of("table")
    for ask in (view.embed, view.predict, view.features):
        with pytest.raises(ContractError, match=r"only 0\.\.99 have arrived"):
            ask(np.array([0, 100]))
        with pytest.raises(ContractError, match=r"-1\.\.0"):
            ask(np.array([0, -1]))
    with pytest.raises(ContractError, match=r"labels .* only 0\.\.79"):
        view.labels(np.array([80]))
    assert view.labels(np.array([79, 2])).tolist() == WORLDS["table"][1].labels[[79, 2]].tolist()
    view.move_to(time=9, num_arrived=101, num_labelled=81)
    assert len(view.embed(np.array([100]))) == len(view.labels(np.array([80]))) == 1
    assert (view.time, view.num_arrived, view.num_labelled, view.model_id) == (9, 101, 81, 0)


def test_what_lies_before_the_replay_is_not_seen():
    view = ModelView(WORLDS["table"][1], first_key=50)
    view.move_to(time=9, num_arrived=100, num_labelled=80)
    assert len(view.labels(np.array([50, 79]))) == len(view.features(np.array([50, 99]))["numeric"]) == 2
    for ask in (view.labels, view.features):
        with pytest.raises(ContractError, match=r"only 50\.\."):
            ask(np.array([49, 50]))
    with pytest.raises(ContractError, match="keys are whole numbers"):
        view.labels(np.array([50.0]))


def test_features_are_as_stored_and_need_no_model():
    view = ModelView(WORLDS["table"][1])
    view.move_to(time=0, num_arrived=10, num_labelled=10)
    features = view.features(np.array([4, 2]))
    for name, column in WORLDS["table"][1].columns.items():
        np.testing.assert_array_equal(features[name], column[[4, 2]])
    with pytest.raises(ContractError, match="before the first training"):
        view.embed(np.array([0]))
    assert view.model_id is None


def test_the_mode_of_every_layer_is_left_as_it_was():
    module = TRAINED["table"].module
    module.train()
    module.hidden.eval()
    view_of("table").embed(np.arange(5))
    assert module.training
    assert not module.hidden.training
    module.train()


class Named(nn.Module):
    """Two heads; the one that runs last is not the classifier."""

    embedding_layer = "classifier"

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(2, 3)
        self.other = nn.Linear(1, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits = self.classifier(batch * 2)
        self.other(batch[:, :1])
        return logits


def test_a_model_may_name_the_layer():
    schema, split = numbers()
    preprocessor = Preprocessor.fit(schema, split, np.arange(50))
    view = ModelView(split, model_id=0, module=Named(), preprocessor=preprocessor)
    view.move_to(time=0, num_arrived=50, num_labelled=50)
    expected = 2 * preprocessor.transform({"numeric": split.columns["numeric"][:4]})["numeric"]
    np.testing.assert_array_equal(view.embed(np.arange(4)), expected)


class Shared(nn.Module):
    """Its last layer has two names, of which the second one is told."""

    embedding_layer = "head"

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(2, 3)
        self.head = self.classifier

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(batch * 2)


def test_a_layer_may_be_called_by_either_of_its_names():
    forward = Forward(Shared(), num_classes=3, device="cpu", precision="32-true")
    embeddings, _ = forward.embed({"numeric": np.arange(8, dtype=np.float32).reshape(4, 2)})
    assert embeddings.tolist() == [[0, 2], [4, 6], [8, 10], [12, 14]]


def test_a_layer_that_is_not_there_is_told_with_all_names():
    module = Shared()
    module.embedding_layer = "hed"
    with pytest.raises(ContractError, match=r"Shared.embedding_layer='hed' is none of its layers, classifier, head$"):
        Forward(module, num_classes=3, device="cpu", precision="32-true").embed({"numeric": np.ones((1, 2))})


def test_a_model_without_a_layer_predicts_but_has_no_embedding():
    schema, split = numbers(num_classes=2)
    preprocessor = Preprocessor.fit(schema, split, np.arange(50))
    view = ModelView(split, model_id=0, module=nn.Identity(), preprocessor=preprocessor)
    view.move_to(time=0, num_arrived=50, num_labelled=50)
    assert view.predict(np.arange(3)).shape == (3, 2)
    with pytest.raises(ContractError, match="embedding_layer"):
        view.embed(np.arange(3))


@given(st.lists(st.lists(st.integers(0, 300), max_size=20), max_size=10))
def test_keyed_rows_against_a_dictionary(requests):
    rows, judge = KeyedRows(), {}
    for keys in requests:
        missing = rows.missing(np.array(keys, dtype=np.int64))
        assert missing.tolist() == sorted(set(keys) - judge.keys())
        rows.add(missing, missing[:, None].astype(np.float32))
        judge |= dict.fromkeys(missing.tolist())
        if keys:
            assert rows.get(np.array(keys)).ravel().tolist() == keys
    assert len(rows) == len(judge)


def test_what_a_model_draws_in_eval_mode_depends_on_seed_and_key_alone():
    world = numbers(64)
    trained = trainer_of(world, {"_target_": "worlds.Noisy"}).fit(
        Selection.unweighted(np.arange(32)), None, last_key=31
    )

    def seen(keys: list[int], seed: int = 0, warm: list[int] | None = None) -> list[float]:
        torch.rand(3)  # the global state is no part of it
        options = {"module": trained.module, "preprocessor": trained.preprocessor, "batch_size": 8, "seed": seed}
        view = ModelView(world[1], model_id=0, **options)
        view.move_to(time=0, num_arrived=64, num_labelled=64)
        view.predict(np.array(warm or keys))
        return view.predict(np.array(keys))[:, 0].tolist()

    assert seen([3, 9, 40]) == seen([3, 9, 40], warm=[40, 41, 2]) == [seen(list(range(64)))[key] for key in (3, 9, 40)]
    assert seen([3], seed=1) != seen([3])
    predictions = [
        predict(trained.module, trained.preprocessor, world[1], seed=seed).loss.tolist() for seed in (0, 0, 1)
    ]
    assert predictions[0] == predictions[1] != predictions[2]
