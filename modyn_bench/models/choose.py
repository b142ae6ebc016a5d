"""The model that suits a dataset's inputs."""

from __future__ import annotations

from torch import nn

from modyn_bench.data.preprocessing import InputSpec
from modyn_bench.errors import RequestError
from modyn_bench.models.convnet import ConvNet
from modyn_bench.models.hashed_text import HashedTextClassifier
from modyn_bench.models.tabular_mlp import TabularMLP


def auto(inputs: InputSpec) -> nn.Module:
    """Make the zoo's model for inputs: hashed text, a table's columns, or images.

    Args:
        inputs: What the dataset hands out.

    Raises:
        RequestError: If no model of the zoo takes these inputs together.

    Example:
        >>> type(auto(InputSpec(num_classes=2, num_features=6))).__name__
        'TabularMLP'
    """
    text, image = inputs.num_tokens > 0, bool(inputs.image_shape)
    table = inputs.num_features > 0 or bool(inputs.cardinalities)
    if [text, image, table].count(True) != 1:
        kinds = [kind for kind, there in (("tokens", text), ("an image", image), ("a table", table)) if there]
        raise RequestError(
            f"model=auto knows no model for {' and '.join(kinds) or 'a dataset without input columns'}: "
            "name one by model._target_, or let the dataset have one kind of input"
        )
    if text:
        return HashedTextClassifier(num_buckets=inputs.num_buckets, num_classes=inputs.num_classes)
    if image:
        return ConvNet(image_shape=inputs.image_shape, num_classes=inputs.num_classes)
    return TabularMLP(
        num_features=inputs.num_features, cardinalities=inputs.cardinalities, num_classes=inputs.num_classes
    )
