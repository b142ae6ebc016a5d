"""Which runs are the same."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modyn_bench.errors import RequestError
from modyn_bench.runs import identity
from modyn_bench.runs.identity import evaluation_id, run_id
from tests.runs.building import config_of

PLAIN = run_id(config_of(), "f")


@pytest.mark.parametrize(
    "changes",
    [
        {"root": "elsewhere"},
        {"data_dir": "/tmp/stores"},
        {"logger": {"kind": "wandb", "project": "p"}},
        {"experiment": "first_look"},
        {"hydra": {"job": {"name": "x"}}},
        {"replay__chunk_size": 1},
        {"runs__keep_models": "all"},
        {"dataset__path": "/data/copy_of_stream.csv"},
        {"evaluation__metrics": ["roc_auc"]},
        {"evaluation__windows": {}},
        {"evaluation__max_probabilities_bytes": 1},
    ],
)
def test_what_changes_no_result_changes_no_id(changes):
    assert run_id(config_of(**changes), "f") == PLAIN


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"seed": "0"},
        {"training__epochs": 3.0},
        {"training__epochs": "3"},
        {"training__epochs": True},
        {"training__optimizer__lr": 0.05000000000000001},
        {"training__threads": 2},
        {"trigger__every": "365d"},
        {"trigger__start": 0},
        {"trigger___target_": "my_policy.Time"},
        {"selector__history": "all"},
        {"selector__new_option": None},
        {"model__hidden": [64, 64]},
        {"replay__flush": False},
        {"replay__activation_delay": "1d"},
        {"replay__label_delay": "4w"},
        {"dataset__label": "z"},
        {"dataset__test_fraction": 0.5},
        {"evaluation__batch_size": 65},
        {"evaluation__split": "holdout"},
        {"runs__other": 1},
        {"some_later_group": {}},
    ],
)
def test_everything_else_changes_the_id(changes):
    assert run_id(config_of(**changes), "f") != PLAIN


def test_the_fingerprint_changes_the_id():
    assert run_id(config_of(), "g") != PLAIN


def shuffled(value, order):
    if isinstance(value, dict):
        return {key: shuffled(value[key], order) for key in order(list(value))}
    return value


@settings(max_examples=30)
@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(random):
    assert run_id(shuffled(config_of(), lambda keys: random.sample(keys, len(keys))), "f") == PLAIN


def test_the_order_of_list_items_does():
    assert run_id(config_of(model__hidden=[1, 2]), "f") != run_id(config_of(model__hidden=[2, 1]), "f")


def test_a_key_that_is_a_number_is_not_one_that_is_a_text():
    assert run_id(config_of(model__weights={1: 2}), "f") != run_id(config_of(model__weights={"1": 2}), "f")


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


def typed(value):
    """The value with its types, in a form in which 1, 1.0, True and "1" differ and the order of keys does not count."""
    if isinstance(value, dict):
        return ("dict", frozenset((key, typed(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("list", tuple(typed(item) for item in value))
    return (type(value).__name__, repr(value))


@settings(max_examples=60)
@given(trees, trees)
def test_two_values_give_one_id_only_if_they_are_the_same(one, other):
    same = run_id(config_of(model__x=one), "f") == run_id(config_of(model__x=other), "f")
    assert same == (typed(one) == typed(other))


def test_added_keys_are_left_out_only_while_they_equal_their_value_at_introduction(monkeypatch):
    target = "triggers.time.Time"
    added = {("training", "ema"): None, (target, "jitter"): 0, ("", "mode"): "batch"}
    monkeypatch.setattr(identity, "ADDED", added)
    assert run_id(config_of(training__ema=None, trigger__jitter=0, mode="batch"), "f") == PLAIN
    for change in ({"training__ema": 0.9}, {"trigger__jitter": 0.0}, {"trigger__jitter": False}, {"mode": "live"}):
        assert run_id(config_of(**change), "f") != PLAIN
    # the key of that name of another policy is not meant, wherever it stands
    other = {"_target_": "my.Other", "jitter": 0}
    assert run_id(config_of(trigger=other), "f") != run_id(config_of(trigger={"_target_": "my.Other"}), "f")
    ensemble = {"_target_": "my.Ensemble", "members": {"a": {"_target_": target}}}
    extended = copy.deepcopy(ensemble)
    extended["members"]["a"]["jitter"] = 0
    assert run_id(config_of(trigger=ensemble), "f") == run_id(config_of(trigger=extended), "f")


def test_initial_weights_count_by_their_content(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, data in zip(paths, (b"one", b"one", b"two"), strict=True):
        path.write_bytes(data)
    ids = [run_id(config_of(training__initial_weights=str(path)), "f") for path in paths]
    assert ids[0] == ids[1] != ids[2]
    with pytest.raises(RequestError, match=r"training\.initial_weights.*nowhere"):
        run_id(config_of(training__initial_weights=str(tmp_path / "nowhere")), "f")
    own = [{"_target_": "my.Rho", "irreducible_model": {"initial_weights": str(path)}} for path in paths]
    of_second = [run_id(config_of(selector=selector), "f") for selector in own]
    assert of_second[0] == of_second[1] != of_second[2]
    words = [{"_target_": "my.Own", "initial_weights": value} for value in ("uniform", "zero", [0.5, 0.5], None)]
    assert len({run_id(config_of(selector=selector), "f") for selector in words}) == 4


def test_places_that_a_model_is_made_of_count_by_their_content(tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c", "d")]
    for folder, name, data in zip(folders, ("x", "x", "x", "y"), (b"one", b"one", b"two", b"one"), strict=True):
        (folder / "below" / ".hidden").mkdir(parents=True)
        (folder / "below" / name).write_bytes(data)
        (folder / "below" / ".hidden" / "notes").write_text(str(folder))
    places = [str(folder) for folder in folders]
    for changes in (
        [{"model__path": place} for place in places],
        [{"selector__irreducible_model": {"path": place}} for place in places],
        [{"model__parts": [{"path": place}]} for place in places],
    ):
        ids = [run_id(config_of(**change), "f") for change in changes]
        assert ids[0] == ids[1]
        assert len(set(ids)) == 3
    before = run_id(config_of(model__path=str(folders[0])), "f")
    (folders[0] / "below" / "x").write_bytes(b"edited")
    assert run_id(config_of(model__path=str(folders[0])), "f") != before
    files = [run_id(config_of(model__weights_file=str(f / "below" / "x")), "f") for f in folders[1:3]]
    assert len({*files, run_id(config_of(model__weights_file=None), "f")}) == 3


def test_the_tokenizers_place_is_no_part_of_the_id():
    ids = {run_id(config_of(dataset__tokenizer=value), "f") for value in (None, "/a", "/b")}
    assert ids == {PLAIN}


def test_a_value_that_is_no_plain_value_is_refused_by_name():
    with pytest.raises(RequestError, match=r"model\.x=.*object"):
        run_id(config_of(model__x=object()), "f")


def test_the_prefix_is_readable_and_fit_for_a_file_name():
    assert PLAIN.startswith("table-time-new_data-seed0-")
    odd = run_id(config_of(dataset__name="../Größe (1)/x", trigger___target_="a.b.AutoDriftTrigger", seed=-12), "f")
    assert odd.startswith("Gr_e_1_x-auto_drift-new_data-seed_12-")
    long = run_id(config_of(dataset__name="x" * 300, seed=2**62), "f")
    assert len(long) + 1 + 8 <= 128  # with its token it is a W&B id and name
    assert run_id(config_of(dataset__path="/a/other.csv"), "f") == PLAIN


def test_an_evaluation_has_an_id_of_its_own():
    evaluation = config_of()["evaluation"]
    own = evaluation_id(evaluation)
    for changes in ({"batch_size": 1}, {"split": "x"}, {"max_probabilities_bytes": 1}):
        assert evaluation_id(evaluation | changes) == own
    for changes in ({"metrics": ["ece"]}, {"ece_bins": 10}, {"windows": {"sliced": {"every": 8}}}):
        assert evaluation_id(evaluation | changes) != own
