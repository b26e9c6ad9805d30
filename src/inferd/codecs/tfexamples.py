"""TensorFlow Serving's ``:classify`` and ``:regress``: examples in, labels and scores or values out.

A request holds ``examples``, objects of features by name, and perhaps a ``context`` of features that
all of them share; a feature is a value or a flat list of values, as in a ``tf.Example``, and a list is
given the shape that the model's input has. Which outputs make the answer follows from the signature: a
classification needs scores (a float for each class of an example) and takes the labels of equal shape
where there are such texts, else ``""``; a regression needs one number for each example. A model
without them is refused before it runs.

Source: tensorflow/serving, ``g3doc/api_rest.md``; the answer's key is ``results``, as in its code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.codecs.base import Decoded
from inferd.codecs.tfnumbers import dumps
from inferd.codecs.tfserving import TFServingCodec, check_signature, read
from inferd.codecs.values import depth_of, holds_one, shown
from inferd.core.errors import InvalidInput, TooLarge, Unsupported, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, Tensors

_SCORES = ("scores", "score", "probabilities", "probability")
_LABELS = ("classes", "labels", "label", "class")
_VALUES = ("outputs", "predictions", "value")
_PREDICT = "ask with :predict, which gives every output"


MAX_SHARED = 1 << 20
"""Values, a text one for each 16 characters, that the features of a context become in all examples."""


class _ExamplesCodec:
    """What both have in common: the request."""

    aliases: tuple[str, ...] = ()
    """Names of the signature besides ``serving_default``: those that exported models have for this."""

    def __init__(
        self, signature: Signature, plan: BatchPlan | None = None, max_depth: int = json.MAX_DEPTH
    ) -> None:
        self._signature = signature
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._rows = TFServingCodec(signature, plan, max_depth)
        self._max_depth = max_depth

    def decode(self, body: bytes) -> Decoded:
        """Decode the examples of a request."""
        wanted = self._wanted()
        request = read(body, self._max_depth)
        check_signature(request, self.aliases)
        examples, context = request.get("examples"), request.get("context", {})
        if type(examples) is not list or not examples:
            raise InvalidInput('"examples" must be a list of at least one object')
        if type(context) is not dict:
            raise InvalidInput('"context" must be an object of features')
        self._check_context(context, len(examples))
        rows = [self._row(e, context, f"examples[{i}]") for i, e in enumerate(examples)]
        decoded = self._rows.rows(rows, "examples")
        decoded.outputs = wanted
        return decoded

    def _check_context(self, context: dict[str, Any], examples: int) -> None:
        """Refuse what is no input, and what would become very much in each of the examples."""
        for name in context:
            if name not in self._inputs:
                raise InvalidInput(
                    f'"context" holds {shown(name)}, which is no input',
                    help=nearest(name, self._inputs),
                )
        weight = _weight(list(context.values()))
        if weight * examples > MAX_SHARED:
            raise TooLarge(
                f'"context" is too large to be shared by {examples} examples',
                help="send fewer of them in a request",
            )

    def _wanted(self) -> tuple[str, ...]:
        """Return the outputs that make the answer; raises ``Unsupported`` where there are none."""
        raise NotImplementedError

    def _row(self, example: Any, context: dict[str, Any], where: str) -> dict[str, Any]:
        if type(example) is not dict:
            raise InvalidInput(f"{where} must be an object of features")
        for name in example:
            if name in context:
                raise InvalidInput(f"{where}: the feature {shown(name)} is in the context as well")
        return {
            name: _shaped(value, self._inputs[name], self._signature, f"{where}.{name}")
            if name in self._inputs else value
            for name, value in {**context, **example}.items()
        }  # fmt: skip


class ClassifyCodec(_ExamplesCodec):
    """Encoder and decoder of classify requests for one version of a model."""

    aliases = ("tensorflow/serving/classify", "classification", "classify")

    def _wanted(self) -> tuple[str, ...]:
        return scores_of(self._signature)

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool = False,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> bytes:
        """Encode ``results``: for each example a list of [label, score]."""
        wanted = scores_of(self._signature)
        batches = outputs if isinstance(outputs, list) else [outputs]
        return dumps({"results": [row for batch in batches for row in _pairs(batch, wanted)]})


class RegressCodec(_ExamplesCodec):
    """Encoder and decoder of regress requests for one version of a model."""

    aliases = ("tensorflow/serving/regress", "regression", "regress")

    def _wanted(self) -> tuple[str, ...]:
        return (value_of(self._signature),)

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool = False,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> bytes:
        """Encode ``results``: one number for each example."""
        name = value_of(self._signature)
        batches = outputs if isinstance(outputs, list) else [outputs]
        parts = [batch[name].reshape(-1) for batch in batches]
        return dumps({"results": parts[0] if len(parts) == 1 else np.concatenate(parts)})


def _weight(value: Any) -> int:
    if type(value) is list:
        return sum(map(_weight, value))
    if type(value) is dict:
        return 1 + sum(map(_weight, value.values()))
    return 1 + len(value) // 16 if type(value) is str else 1


def scores_of(signature: Signature) -> tuple[str, ...]:
    """Return the output that holds scores of classes, and that of their labels where there is one.

    Raises ``Unsupported``.
    """
    outputs = signature.outputs if signature.batched else ()
    scores = _chosen(
        [s for s in outputs if s.dtype.numpy.kind == "f" and len(s.shape) == 2], _SCORES
    )
    if scores is None:
        raise Unsupported(
            "the model has no output of class scores: one row of floats for each example",
            help=_PREDICT,
        )
    labels = _chosen([s for s in outputs if s.dtype is BYTES and s.shape == scores.shape], _LABELS)
    return (scores.name,) if labels is None else (scores.name, labels.name)


def value_of(signature: Signature) -> str:
    """Return the output that holds one number for each example; raises ``Unsupported``."""
    outputs = signature.outputs if signature.batched else ()
    values = _chosen(
        [s for s in outputs if s.dtype.numpy.kind == "f" and holds_one(s, signature)], _VALUES
    )
    if values is None:
        raise Unsupported("the model has no output of one float for each example", help=_PREDICT)
    return values.name


def _chosen(specs: list[TensorSpec], names: Iterable[str]) -> TensorSpec | None:
    """Return the only one, or the one that is named as such an output is."""
    if len(specs) == 1:
        return specs[0]
    by_name = {spec.name: spec for spec in specs}
    return next((by_name[name] for name in names if name in by_name), None)


def _pairs(outputs: Tensors, wanted: tuple[str, ...]) -> list[list[list[Any]]]:
    scores = outputs[wanted[0]]
    if len(wanted) == 1:
        return [[["", score] for score in row] for row in scores]
    labels = outputs[wanted[1]]
    return [
        [[json.text(label), score] for label, score in zip(texts, row, strict=True)]
        for texts, row in zip(labels.tolist(), scores, strict=True)
    ]


def _shaped(value: Any, spec: TensorSpec, signature: Signature, where: str) -> Any:
    """Give a feature's flat list the shape of the input; bare values and nested lists stay."""
    wanted = spec.shape[1:] if signature.batched else spec.shape
    if depth_of(value) != 1:
        return value
    if not wanted:
        if len(value) != 1:
            raise InvalidInput(f"{where} holds {len(value)} values; the input takes one")
        return value[0]
    if len(wanted) == 1 or -1 in wanted:
        return value
    if len(value) != math.prod(wanted):
        raise InvalidInput(
            f"{where} holds {len(value)} values; the input takes {math.prod(wanted)}"
        )
    for size in reversed(wanted[1:]):
        value = [value[i : i + size] for i in range(0, len(value), size)]
    return value
