"""OpenAI embeddings: texts or token ids in, one vector for each out, as numbers or as base64.

The texts of a request are one batch. Token ids of equal lengths are one too; unequal ones are rows
that are run one by one. The vector is the model's first floating output of one row of numbers for
each example.

``dimensions`` keeps the first numbers of every vector and scales them to the length that the whole
had, so unit vectors stay unit vectors. Whether a model was trained for that is for its user to know.

Source: openai/openai-openapi, openapi.yaml 2.3.0, ``CreateEmbeddingRequest``.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from inferd.codecs import json
from inferd.codecs.base import Decoded, split_rows
from inferd.codecs.openai import Fields, estimated, usage, utf8
from inferd.codecs.values import Ragged, check_shape, to_array
from inferd.core.errors import InvalidInput, ModelFailed
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec, is_text
from inferd.core.tensor import Tensors

MAX_ITEMS = 2048
TOKENS = "prompt_tokens"
"""The output, integers for each example, by which a model reports how many tokens it read."""

_FILLED = {"attention_mask": 1, "token_type_ids": 0}
"""Inputs beside token ids that follow from them: all of a row is read, and is one segment."""
_FORMATS = ("float", "base64")
_FIELD = "input"


class EmbeddingsCodec:
    """Encoder and decoder of embeddings for one version of a model."""

    def __init__(
        self, signature: Signature, plan: BatchPlan | None = None, max_depth: int = json.MAX_DEPTH
    ) -> None:
        self._signature = signature
        self._split = plan is not None and plan.split
        self._max_depth = max_depth
        self._text = _text_input(signature)
        self._ids = _ids_input(signature)
        self._vector = _vector_output(signature)
        counted = signature.output(TOKENS)
        self._counts = counted is not None and counted.dtype.numpy.kind in "iu"

    def decode(self, body: bytes) -> Decoded:
        """Decode a request body."""
        return self.read(json.loads(body, self._max_depth))

    def read(self, body: Any) -> Decoded:
        """Do what ``decode`` does with a body that was parsed already."""
        fields = Fields(body)
        name = fields.text("model")
        given = fields.need(_FIELD)
        form: dict[str, Any] = {
            "format": fields.choice("encoding_format", _FORMATS, "float"),
            "dimensions": self._dimensions(fields),
            "model": name,
        }
        if self._vector is None:
            raise InvalidInput(
                '"model" gives no vectors: it has no floating output of shape [any, size]'
            )
        decoded = self._texts(given, form) if _are_texts(given) else self._tokens(given, form)
        decoded.parameters = fields.scalars()
        decoded.outputs = (self._vector.name, TOKENS) if self._counts else (self._vector.name,)
        decoded.form = form
        return decoded

    def _dimensions(self, fields: Fields) -> int | None:
        size = self._vector.shape[-1] if self._vector is not None else -1
        return fields.integer("dimensions", 1, size if size > 0 else 1 << 31)

    def _texts(self, given: Any, form: dict[str, Any]) -> Decoded:
        spec = self._text
        if spec is None:
            raise InvalidInput(
                f'"{_FIELD}" holds text, which this model does not take',
                help="send token ids" if self._ids is not None else None,
            )
        texts = given if type(given) is list else [given]
        _check_count(texts)
        for index, text in enumerate(texts):
            if not text:
                raise InvalidInput(f'"{_FIELD}" holds an empty text, the one of index {index}')
        encoded = [utf8(text, _FIELD) for text in texts]
        form["tokens"] = estimated(encoded)
        array = np.empty(len(encoded), object)
        array[:] = encoded
        if not self._signature.batched:
            shape = (1,) * len(spec.shape)
            return _rows([{spec.name: array[i : i + 1].reshape(shape)} for i in range(len(array))])
        return self._batch({spec.name: array.reshape(-1, *(1,) * (len(spec.shape) - 1))})

    def _tokens(self, given: Any, form: dict[str, Any]) -> Decoded:
        spec = self._ids
        if type(given) is not list or not {int, list}.issuperset(map(type, given)):
            raise InvalidInput(f'"{_FIELD}" must be a text, a list of texts, or token ids')
        rows = given if given and type(given[0]) is list else [given] if given else []
        _check_count(rows)
        if spec is None:
            raise InvalidInput(
                f'"{_FIELD}" holds token ids, which this model does not take',
                help="send text" if self._text is not None else None,
            )
        where = f'"{_FIELD}"'
        try:
            array = to_array(rows, spec.dtype, 2, where)
        except Ragged:
            arrays = [to_array([row], spec.dtype, 2, f"{where}[{i}]") for i, row in enumerate(rows)]
            decoded = _rows([self._filled(each, spec, where) for each in arrays])
            form["counted"] = sum(each.size for each in arrays)
            return decoded
        form["counted"] = array.size
        return self._batch(self._filled(array, spec, where))

    def _filled(self, ids: np.ndarray, spec: TensorSpec, where: str) -> Tensors:
        """Return all inputs of the model for a batch of token ids."""
        if not ids.size:
            raise InvalidInput(f"{where} holds no token ids")
        check_shape(ids.shape[1:], spec.shape[1:], spec, f"{where}: an example")
        return {
            each.name: ids
            if each is spec
            else np.full(ids.shape, _FILLED[each.name], each.dtype.numpy)
            for each in self._signature.inputs
            if each is spec or each.name in _FILLED
        }

    def _batch(self, inputs: Tensors) -> Decoded:
        size = next(iter(inputs.values())).shape[0]
        if self._split and size > 1:
            return Decoded(None, split_rows(inputs, size))
        return Decoded(inputs)

    def encode(
        self,
        outputs: Tensors | list[Tensors],
        single: bool = False,
        id: str | None = None,
        model: str = "",
        version: str = "",
        form: Any = None,
    ) -> bytes:
        """Encode a response body."""
        rows = outputs if isinstance(outputs, list) else [outputs]
        vectors = shortened(self._joined(rows), form["dimensions"])
        counted = form.get("counted")
        if counted is None:
            counted = form["tokens"]
            if self._counts:
                counted = sum(int(row[TOKENS].sum()) for row in rows)
        packed = form["format"] == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.tobytes()).decode() if packed else vector,
            }
            for index, vector in enumerate(vectors)
        ]
        return json.dumps(
            {
                "object": "list",
                "data": data,
                "model": form["model"] or model,
                "usage": usage(counted),
            }
        )

    def _joined(self, rows: list[Tensors]) -> np.ndarray:
        """Return the vectors of all rows as one little-endian float32 array [examples, size]."""
        assert self._vector is not None
        name = self._vector.name
        parts = [row[name].reshape(-1, row[name].shape[-1]) for row in rows]
        sizes = {part.shape[1] for part in parts}
        if len(sizes) > 1:
            raise ModelFailed(f"output {name!r} has vectors of unequal sizes: {sorted(sizes)}")
        return np.concatenate(parts).astype("<f4", copy=False)


def shortened(vectors: np.ndarray, dimensions: int | None) -> np.ndarray:
    """Return the first numbers of every vector, scaled to the length that the whole vector has.

    Raises ``InvalidInput`` where a vector is shorter than that.
    """
    size = vectors.shape[1]
    if dimensions is None or dimensions == size:
        return vectors
    if dimensions > size:
        raise InvalidInput(f'"dimensions" is {dimensions}, and the model gives {size}')
    cut = vectors[:, :dimensions]
    whole = np.linalg.norm(vectors, axis=1, keepdims=True)
    left = np.linalg.norm(cut, axis=1, keepdims=True)
    scale = np.divide(whole, left, out=np.ones_like(left), where=left > 0)
    return np.ascontiguousarray(cut * scale, "<f4")


def _are_texts(given: Any) -> bool:
    """Whether ``given`` is a text or a list of texts; raises where it is neither that nor ids."""
    if type(given) is not list:
        return type(given) is str
    kinds = set(map(type, given))
    if not given or str not in kinds:
        return False
    if len(kinds) > 1:
        index = next(i for i, item in enumerate(given) if type(item) is not type(given[0]))
        raise InvalidInput(f'"{_FIELD}" mixes texts and others, the first at index {index}')
    return True


def _check_count(items: list[Any]) -> None:
    if not items:
        raise InvalidInput(f'"{_FIELD}" is empty')
    if len(items) > MAX_ITEMS:
        raise InvalidInput(f'"{_FIELD}" holds {len(items)} items; at most {MAX_ITEMS} are accepted')


def _rows(rows: list[Tensors]) -> Decoded:
    return Decoded(rows[0]) if len(rows) == 1 else Decoded(None, rows)


def _text_input(signature: Signature) -> TensorSpec | None:
    """Return the one input that a request must bring, where it is a text for each example."""
    lone = signature.lone
    if lone is None or not is_text(lone):
        return None
    row = lone.shape[1:] if signature.batched else lone.shape
    return lone if all(n in (1, -1) for n in row) else None


def _ids_input(signature: Signature) -> TensorSpec | None:
    """Return the input of token ids, where all others follow from it."""
    found = None
    for spec in signature.inputs:
        if spec.default is not None and spec.name not in _FILLED:
            continue
        if not signature.batched or len(spec.shape) != 2 or spec.dtype.numpy.kind not in "iu":
            return None
        if spec.name not in _FILLED:
            if found is not None:
                return None
            found = spec
    return found


def _vector_output(signature: Signature) -> TensorSpec | None:
    """Return the first floating output of one row of numbers for each example."""
    ranks = (2,) if signature.batched else (1, 2)
    for spec in signature.outputs:
        if spec.dtype.numpy.kind == "f" and len(spec.shape) in ranks:
            return spec
    return None
