"""Train on samples that can be learnt and are not yet learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from modyn_bench.errors import RequestError
from modyn_bench.seeding import priorities
from modyn_bench.selectors.base import SelectionContext
from modyn_bench.selectors.downsampling.base import Options, Outputs
from modyn_bench.selectors.downsampling.scored import Scored
from modyn_bench.types import IntArray, Selection

if TYPE_CHECKING:
    import torch

HOLDOUTS = ("simple", "twin")
COLUMN = "irreducible_loss"
_SIMPLE_RATIO = 0.1


class RhoLoss(Scored):
    r"""Choose the samples with the highest reducible holdout loss.

    .. math:: s_i = \ell(f(x_i), y_i) - \ell(g(x_i), y_i)

    with the model f that is trained, and an irreducible model g, trained on other samples. The second loss stays high
    for samples that are noise, the first is low for those that are learnt already.

    ``holdout=simple`` holds out a share of the samples: g is trained on it, and f on the rest. ``twin`` divides them
    into halves, trains a g on each, and judges either half by the one that has not seen it; f is trained on all.
    The side of a sample is a hash of its key and the run's seed, so it stays the same at every trigger. Where a side is
    empty, which takes few samples, no g is trained, irreducible losses are 0, and f is trained on all.

    At the next training g goes on from where it left off, as f does; it begins anew where it was not trained at the
    training before, as after another policy's turn or an empty side. Each policy of a schedule has its own. What g
    costs is counted: its training, and a pass over what f is trained on.

    Args:
        holdout: ``simple`` or ``twin``.
        holdout_ratio: Share that is held out, a fraction in (0, 1); ``None``: 0.1 with ``simple``, and 0.5 with
            ``twin``, which takes nothing else.
        train_on_holdout: Whether f is trained on what is held out, too, with ``simple``; its irreducible losses are
            those of a model that has seen it, too low.
        irreducible_model: The configuration of g, and what it starts from: ``initial_weights``, a safetensors file,
            but for ``fresh_layers``, as in ``training``; ``None``: all as f.
        irreducible_epochs: Epochs of g; ``None``: those of f.

    Shape:
        Losses (n,), irreducible losses (n,); scores (n,).

    Raises:
        RequestError: If an option is out of range.

    Example:
        >>> import torch
        >>> losses, nothing = torch.tensor([3.0, 2.0, 0.1]), torch.zeros(3, 2)
        >>> columns = {"irreducible_loss": torch.tensor([2.9, 0.1, 0.1])}
        >>> outputs = Outputs(nothing, nothing[:, 0].long(), losses, None, None, columns)
        >>> RhoLoss().score(outputs).argsort(descending=True).tolist()
        [1, 0, 2]

    Reference:
        Mindermann et al., Prioritized Training on Points that are Learnable, Worth Learning, and Not Yet Learnt, ICML
        2022, equation 3 and algorithm 1; its experiments without a holdout set (two models, each on one half).

    Deviation:
        The reference's ``simple`` trains f on what is held out, too; ``train_on_holdout=true`` does so. It divides anew
        at every trigger, unseeded; its second twin starts from the first, which has seen the other half. It trains
        irreducible models in the warm-up, which uses none.
    """

    name = "rho_loss"
    needs = ("loss",)

    def __init__(
        self,
        *,
        holdout: str = "simple",
        holdout_ratio: float | None = None,
        train_on_holdout: bool = False,
        irreducible_model: Mapping[str, Any] | None = None,
        irreducible_epochs: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        if holdout not in HOLDOUTS:
            raise RequestError(f"selector.holdout={holdout!r} must be {' or '.join(HOLDOUTS)}")
        self.holdout = holdout
        self.holdout_ratio = _holdout_ratio(holdout, holdout_ratio)
        self.train_on_holdout = train_on_holdout or holdout == "twin"
        self.irreducible_model = _model(irreducible_model)
        if irreducible_epochs is not None and irreducible_epochs < 1:
            raise RequestError(
                f"selector.irreducible_epochs={irreducible_epochs} must be at least 1, or null for training.epochs"
            )
        self.irreducible_epochs = irreducible_epochs

    @property
    def second_models(self) -> Mapping[str, Mapping[str, Any]]:
        """The configuration of g, where it has one of its own."""
        return {} if self.irreducible_model is None else {"selector.irreducible_model": self.irreducible_model}

    def prepare(self, keys: IntArray, context: SelectionContext) -> Selection:
        """Train the irreducible models, and return what the model is trained on with its irreducible losses."""
        held_out = self.held_out(keys, context.seed)
        if held_out.all() or not held_out.any():
            return _with_losses(keys, np.zeros(len(keys)))
        if self.holdout == "simple":
            chosen = keys if self.train_on_holdout else keys[~held_out]
            selection = _with_losses(chosen, self._losses("irreducible", keys[held_out], chosen, context))
            return selection if self.train_on_holdout else replace(selection, held_out=keys[held_out])
        losses = np.empty(len(keys))
        for number, seen in enumerate((held_out, ~held_out)):
            losses[~seen] = self._losses(f"irreducible_{number}", keys[seen], keys[~seen], context)
        return _with_losses(keys, losses)

    def held_out(self, keys: IntArray, seed: int) -> NDArray[np.bool_]:
        """Tell which keys are held out, or in the first half, shape (n,)."""
        side: NDArray[np.bool_] = priorities(keys, seed, RhoLoss.name, "holdout") / 2.0**64 < self.holdout_ratio
        return side

    def _losses(self, name: str, seen: IntArray, keys: IntArray, context: SelectionContext) -> NDArray[Any]:
        model = context.train(
            name, Selection.unweighted(seen), model=self.irreducible_model, epochs=self.irreducible_epochs
        )
        return model.losses(keys)

    def score(self, outputs: Outputs) -> torch.Tensor:
        """Return the reducible losses."""
        assert outputs.losses is not None
        return outputs.losses - outputs.columns[COLUMN]


def _holdout_ratio(holdout: str, ratio: float | None) -> float:
    if ratio is None:
        return 0.5 if holdout == "twin" else _SIMPLE_RATIO
    if not 0 < ratio < 1:
        raise RequestError(f"selector.holdout_ratio={ratio} must be a fraction in (0, 1), or null")
    if holdout == "twin" and ratio != 0.5:
        raise RequestError(f"selector.holdout_ratio={ratio} must be 0.5, or null, with selector.holdout=twin")
    return ratio


def _model(config: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if config is not None and "_target_" not in config:
        raise RequestError(
            "selector.irreducible_model must be a model's configuration, as +model@selector.irreducible_model=NAME "
            "gives it, or null for that of the model itself"
        )
    return config


def _with_losses(keys: IntArray, losses: NDArray[Any]) -> Selection:
    chosen = Selection.unweighted(keys)
    return Selection(chosen.keys, chosen.weights, {COLUMN: losses.astype(np.float32)})
