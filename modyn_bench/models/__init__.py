"""The zoo: small models for text, tables, clicks and images; any other ``torch.nn.Module`` works as well.

Importing this package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modyn_bench.models.choose import auto
    from modyn_bench.models.convnet import ConvNet
    from modyn_bench.models.dlrm import DLRM
    from modyn_bench.models.hashed_text import HashedTextClassifier
    from modyn_bench.models.pretrained_text import PretrainedText
    from modyn_bench.models.resnet import ResNet
    from modyn_bench.models.tabular_mlp import TabularMLP

__all__ = ["DLRM", "ConvNet", "HashedTextClassifier", "PretrainedText", "ResNet", "TabularMLP", "auto"]

_HOMES = {
    "DLRM": "modyn_bench.models.dlrm",
    "ConvNet": "modyn_bench.models.convnet",
    "HashedTextClassifier": "modyn_bench.models.hashed_text",
    "PretrainedText": "modyn_bench.models.pretrained_text",
    "ResNet": "modyn_bench.models.resnet",
    "TabularMLP": "modyn_bench.models.tabular_mlp",
    "auto": "modyn_bench.models.choose",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attributes are what they are
    if name not in _HOMES:
        raise AttributeError(f"modyn_bench.models has no {name}: it has {', '.join(sorted(_HOMES))}")
    return getattr(importlib.import_module(_HOMES[name]), name)
