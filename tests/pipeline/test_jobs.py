"""One job from its configuration to its end: observers close before the run counts as done, each by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from modyn_bench.errors import RequestError, RunError
from modyn_bench.jobs import run_job
from modyn_bench.preflight import check_jobs
from modyn_bench.runs.manifest import DONE
from modyn_bench.tracking.progress import Progress
from modyn_bench.tracking.wandb import WandbObserver


@pytest.fixture
def config(tmp_path: Path) -> dict:
    lines = [f"2020-01-{day:02},{day},{'ab'[day % 2]}" for day in range(1, 29)]
    (tmp_path / "t.csv").write_text("\n".join(["ts,x,y", *lines]))
    table = ["dataset=table", f"dataset.path={tmp_path / 't.csv'}", "dataset.timestamp=ts", "dataset.label=y"]
    policy = ["trigger=amount", "trigger.num_samples=10", "training.epochs=1", "evaluation.metrics=[accuracy]"]
    where = [f"root={tmp_path / 'out'}", f"data_dir={tmp_path / 'stores'}"]
    return check_jobs([*table, *policy, *where])[0].config


def test_a_run_is_done_when_its_observers_have_closed(config, tmp_path, monkeypatch):
    closed = []
    for observer in (Progress, WandbObserver):
        close = observer.on_close

        def on_close(self, status, close=close):
            closed.append((type(self).__name__, status, list((tmp_path / "out").glob(f"*/{DONE}"))))
            close(self, status)

        monkeypatch.setattr(observer, "on_close", on_close)
    result = run_job(config)
    assert closed == [("Progress", "finished", []), ("WandbObserver", "finished", [])]
    assert (result.path / DONE).is_file()


def test_an_observer_that_fails_to_close_leaves_no_other_open(config, tmp_path, monkeypatch):
    closed = []

    def fail(self, status):
        raise RuntimeError("the terminal has gone")

    close = WandbObserver.on_close
    monkeypatch.setattr(Progress, "on_close", fail)
    monkeypatch.setattr(WandbObserver, "on_close", lambda self, status: (closed.append(status), close(self, status)))
    with pytest.raises(RuntimeError, match="the terminal has gone"):
        run_job(config)
    assert closed == ["finished"]
    assert not list((tmp_path / "out").glob(f"*/{DONE}"))
    monkeypatch.undo()
    assert run_job(config).status == "finished", "the same command again concludes it"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"_target_": "modyn_bench.models.ConvNet"}}, "image"),
        ({"model": {"_target_": "worlds.Wrong"}}, r"returned shape \(2, 1\)"),
        ({"model": {"_target_": "worlds.Detached"}}, "do not depend on a parameter that is trained"),
        (
            {"model": {"_target_": "worlds.Raises"}},
            r"fails on a batch of 2 samples: ZeroDivisionError: .*worlds\.py, line",
        ),
        (
            {"model": {"_target_": "worlds.FailsInEval"}},
            r"model FailsInEval fails in eval mode on a batch of 2 samples: KeyError: 'statistics' .*worlds\.py, line",
        ),
        ({"model": {"_target_": "worlds.WrongInEval"}}, r"model WrongInEval returned a tuple for 2 .*, in eval mode"),
        (
            {"training.augmentation": {"flip": {"_target_": "modyn_bench.training.augmentation.HorizontalFlip"}}},
            r"training\.augmentation\.flip: HorizontalFlip needs images, and the dataset has",
        ),
        ({"training.optimizer.lr": -1.0}, r"training\.optimizer: torch\.optim\.Adagrad refuses"),
        ({"training.schedule": {"_target_": "torch.optim.lr_scheduler.StepLR"}}, "step_size"),
        ({"training.accelerator": "mps"}, r"training\.accelerator=mps is not there"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(config, tmp_path, changes, message):
    for place, value in changes.items():
        *groups, key = place.split(".")
        node = config
        for group in groups:
            node = node[group]
        node[key] = value
    with pytest.raises(RequestError, match=message):
        run_job(config)
    assert not (tmp_path / "out").exists()


COMPOSED = [
    "selector=coreset",
    "selector@selector.downsampling=schedule",
    "selector@selector.downsampling.policies.first=loss",
    "selector@selector.downsampling.policies.second=rho_loss",
]


@pytest.mark.parametrize(
    ("selector", "model", "message"),
    [
        (["selector=rho_loss"], "Raises", r"selector\.irreducible_model: model Raises fails on a batch of 2 samples"),
        (["selector=rho_loss"], "Absent", r"selector\.irreducible_model\._target_=worlds\.Absent cannot be made"),
        (COMPOSED, "Wrong", r"selector\.downsampling\.policies\.second\.irreducible_model: .* shape \(2, 1\)"),
        (["selector=rho_loss"], "FailsInEval", r"selector\.irreducible_model: model FailsInEval fails in eval mode"),
    ],
    ids=["alone", "unknown", "composed", "in_eval_mode"],
)
def test_a_second_model_that_cannot_be_trained_is_refused_where_it_stands(config, tmp_path, selector, model, message):
    config["selector"] = check_jobs(selector)[0].config["selector"]
    policy = config["selector"]
    if selector is COMPOSED:
        policy = policy["downsampling"]["policies"]["second"]
    policy["irreducible_model"] = {"_target_": f"worlds.{model}"}
    with pytest.raises(RequestError, match=message):
        run_job(config)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial_weights": "none"}, r"^selector\.irreducible_model\.initial_weights=none is not there"),
        (
            {"fresh_layers": ["fc"]},
            r"^selector\.irreducible_model\.fresh_layers=\['fc'\] needs selector\.irreducible_mo",
        ),
    ],
)
def test_weights_that_a_second_model_cannot_start_from_are_refused_where_they_stand(config, tmp_path, options, message):
    config["selector"] = check_jobs(["selector=rho_loss"])[0].config["selector"]
    config["selector"]["irreducible_model"] = {"_target_": "modyn_bench.models.TabularMLP", **options}
    with pytest.raises(RequestError, match=message):
        run_job(config)
    assert not (tmp_path / "out").exists()


NO_EMBEDDING = {"_target_": "worlds.Flat"}
NO_LAYER = {"_target_": "worlds.Named"}


@pytest.mark.parametrize(
    ("choices", "model", "message"),
    [
        (["selector=k_center"], NO_EMBEDDING, r"selector=k_center needs embeddings: no embedding was found in Flat"),
        (
            ["selector=grad_norm", "selector.of=last_layer", "selector.warmup_triggers=3"],
            NO_EMBEDDING,
            "grad_norm needs",
        ),
        (
            [*COMPOSED, "+selector@selector.downsampling.policies.third=k_center"],
            NO_EMBEDDING,
            r"^selector\.downsampling\.policies\.third=k_center needs embeddings: no embedding was found in Flat",
        ),
        (
            ["selector=schedule", "selector@selector.policies.second=k_center"],
            NO_LAYER,
            r"^selector\.policies\.second=k_center needs embeddings: .*'nothere' is none of its lay",
        ),
        (["trigger=drift", "trigger.representation=embedding"], NO_EMBEDDING, "^trigger=drift needs embeddings"),
        (
            ["trigger=ensemble", "+trigger@trigger.members.drift=drift"],
            NO_LAYER,
            r"^trigger\.members\.drift=drift needs embeddings",
        ),
        (
            ["trigger=performance", "trigger.warmup_intervals=2", "+trigger@trigger.warmup_trigger=drift"],
            NO_EMBEDDING,
            r"^trigger\.warmup_trigger=drift needs embeddings",
        ),
        (
            ["trigger=drift", "selector=k_center"],
            NO_EMBEDDING,
            "^trigger=drift and selector=k_center need embeddings: no embedding",
        ),
    ],
)
def test_a_model_without_the_embeddings_that_policies_need_is_refused(config, tmp_path, choices, model, message):
    if "third" in choices[-1]:
        choices = [*choices, "+selector.downsampling.after.third=4"]
    chosen = check_jobs(choices)[0].config
    config |= {"selector": chosen["selector"], "trigger": chosen["trigger"], "model": model}
    with pytest.raises(RequestError, match=message):
        run_job(config)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("selector", ["loss", "el2n", "rho_loss"])
def test_a_model_without_embeddings_suits_what_needs_none(config, selector):
    config |= {"selector": check_jobs([f"selector={selector}"])[0].config["selector"], "model": NO_EMBEDDING}
    assert run_job(config).status == "finished"


def test_records_of_another_width_under_one_name_are_refused_before_anything_is_written(config, tmp_path):
    own = {"_target_": "worlds.Wider", "ratio": 0.5}
    policies = {"a": check_jobs(["selector=el2n"])[0].config["selector"], "b": own}
    target = "modyn_bench.selectors.presampling.schedule.Schedule"
    config["selector"] = {"_target_": target, "policies": policies, "after": {"b": 1}}
    told = (
        r"selector\.policies\.a=el2n and selector\.policies\.b=el2n keep 1 and 2 numbers of each sample under one name"
    )
    with pytest.raises(RequestError, match=told):
        run_job(config)
    assert not (tmp_path / "out").exists()


def test_what_turns_out_wrong_in_the_middle_is_a_failure_of_the_run(config, tmp_path):
    config["model"] = {"_target_": "worlds.WrongLater"}
    with pytest.raises(RunError, match=r"returned shape \(10, 1\)"):
        run_job(config)
    assert (tmp_path / "out").exists()


def test_a_trigger_that_does_not_suit_the_dataset_is_refused_before_anything_is_written(config, tmp_path):
    lines = [f"2020-01-{day:02},{day},{'abc'[day % 3]}" for day in range(1, 29)]
    (tmp_path / "t.csv").write_text("\n".join(["ts,x,y", *lines]))
    config["trigger"] = {"_target_": "modyn_bench.triggers.performance.Performance", "metric": "f1_binary"}
    with pytest.raises(RequestError, match=r"trigger\.metric: f1_binary needs two classes, but the dataset has 3"):
        run_job(config)
    assert not (tmp_path / "out").exists()


def test_a_selector_that_does_not_suit_the_dataset_is_refused_before_anything_is_written(config, tmp_path):
    lines = [f"2020-01-{day:02},{day},{('red', 'blue')[day % 2]},{'abc'[day % 3]}" for day in range(1, 29)]
    (tmp_path / "t.csv").write_text("\n".join(["ts,x,colour,y", *lines]))
    (chosen,) = check_jobs(["selector=column_balanced", "selector.column=colour", "selector.bins=2"])
    config["selector"] = chosen.config["selector"]
    with pytest.raises(RequestError, match=r"selector\.bins=2 is for numbers, but column colour holds categories"):
        run_job(config)
    assert not (tmp_path / "out").exists()
