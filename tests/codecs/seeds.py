"""Good bodies of every codec for any signature, from which fuzzing starts, and its protocol's words."""

import io

import numpy as np
import orjson

from inferd.codecs import oip_client, registry, tfclient
from inferd.codecs.media import CSV, JSON, JSON_LINES, NPY, NPZ, OCTETS, TEXT
from inferd.core.errors import InferdError
from inferd.core.tensor import BYTES

_OIP = {
    "inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "id", "priority",
    "timeout", "binary_data", "binary_data_size", "binary_data_output", "classification",
    "shared_memory_region", "triton_x", "BF16", "FP32",
}  # fmt: skip
_TFS = {
    "instances", "inputs", "signature_name", "serving_default", "parameters", "b64", "specversion",
    "data", "data_base64", "examples", "context",
}  # fmt: skip
DIALECTS = {
    "simple": {"data", "outputs", "parameters", "b64"},
    "oip": _OIP,
    "oip_generate": _OIP - {"inputs"},
    "tfserving": _TFS,
    "tfserving_classify": _TFS,
    "tfserving_regress": _TFS,
    "openai_embeddings": {
        "model", "input", "encoding_format", "base64", "dimensions", "user", "parameters",
    },
    "sagemaker:application/json>application/json": {
        "instances", "inputs", "data", "features", "parameters", "outputs", "stream", "b64",
        "requestType", "name", "shape", "datatype",
    },
}  # fmt: skip
"""The JSON dialects, and the words that their bodies are made of."""


def tensors(sig, rows=2):
    """Return small tensors for the inputs of a signature."""
    found = {}
    for spec in sig.inputs:
        free = [rows, *[2] * len(spec.shape)] if sig.batched else [2] * len(spec.shape)
        shape = [n if n >= 0 else free[axis] for axis, n in enumerate(spec.shape)]
        array = np.arange(int(np.prod(shape))).reshape(shape)
        if spec.dtype is BYTES:
            texts = np.empty(array.size, object)
            texts[:] = [f"t{n}".encode() for n in array.ravel()]
            found[spec.name] = texts.reshape(shape)
        else:
            found[spec.name] = array.astype(spec.dtype.numpy)
    return found


def seeds(name, sig):
    """Return good bodies of one codec, or at least their beginnings, for a signature."""
    kind = name.removeprefix("sagemaker:").partition(">")[0]
    return _MAKERS.get(kind, _oip_binary)(sig) or [b"{}"]


def _json(value):
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _plain(array):
    """Return the nested lists of an array, or of an element, texts as such."""
    if isinstance(array, bytes):
        return array.decode()
    if isinstance(array, np.ndarray) and array.dtype.hasobject:
        return [_plain(part) for part in array]
    return array.tolist()


def _simple(sig):
    given = {name: _plain(array) for name, array in tensors(sig).items()}
    one = {name: value[0] for name, value in given.items()} if sig.batched else given
    rows = [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)] if (
        sig.batched
    ) else [given]  # fmt: skip
    made = [{"data": given}, {"data": one, "parameters": {"n": 1}}, {"data": rows}]
    if len(given) == 1:
        made += [{"data": value} for value in (*given.values(), *one.values())]
    outputs = [spec.name for spec in sig.outputs]
    return [_json(each) for each in (*made, {"data": given, "outputs": outputs})]


def _oip(sig):
    try:
        body, _ = oip_client.encode_request(
            tensors(sig), [s.name for s in sig.outputs], "7", {"priority": 1, "timeout": 5}
        )
    except InferdError:  # FP16 has no JSON form
        return []
    return [body]


def binary_size(sig):
    """Return the size of the JSON part of the binary seed."""
    return _binary(sig)[1]


def _binary(sig):
    return oip_client.encode_request(tensors(sig), {sig.outputs[0].name: {"classification": 1}},
                                     binary=True)  # fmt: skip


def _oip_binary(sig):
    return [
        _binary(sig)[0],
        b"".join(a.tobytes() for a in tensors(sig).values() if not a.dtype.hasobject),
    ]


def _generate(sig):
    rows = tensors(sig, 1).items()
    given = {name: _plain(array[0] if sig.batched else array) for name, array in rows}
    return [_json({**given, "id": "1", "parameters": {"priority": 1, "k": 0.5}, "more": True})]


def _tfserving(sig):
    found = [tfclient.encode_request(tensors(sig), tfclient.COLUMN, "serving_default")]
    return [*found, tfclient.encode_request(tensors(sig))] if sig.batched else found


def _examples(sig):
    given = {name: _plain(array[0]) for name, array in tensors(sig).items()} if sig.batched else {}
    return [_json({"examples": [given, given]}), _json({"context": given, "examples": [{}, {}]})]


def _embeddings(sig):
    return [
        _json({"model": "m", "input": given, "encoding_format": "base64", "dimensions": 1})
        for given in ("a", ["a", "b"], [1, 2], [[1, 2], [3]])
    ]


def _sagemaker(sig):
    given = {name: _plain(array) for name, array in tensors(sig).items()}
    found = [_json({key: v}) for key in ("instances", "inputs", "data") for v in given.values()]
    return [*found, *_simple(sig), *_oip(sig), *(_json(value) for value in given.values()),
            _json({"instances": [{"features": 1}], "stream": True})]  # fmt: skip


def _npy(sig):
    return [_saved(array) for array in tensors(sig).values()]


def _saved(array):
    out = io.BytesIO()
    np.save(out, array.astype("S") if array.dtype.hasobject else array, allow_pickle=False)
    return out.getvalue()


def _npz(sig):
    out, packed = io.BytesIO(), io.BytesIO()
    given = {n: a.astype("S") if a.dtype.hasobject else a for n, a in tensors(sig).items()}
    np.savez(out, **given)
    np.savez_compressed(packed, **given)
    return [out.getvalue(), packed.getvalue()]


def _csv(sig):
    rows = [[str(_plain(v)) for v in np.ravel(a[0])] for a in tensors(sig).values()]
    line = ",".join(cell for row in rows for cell in row).encode()
    return [line + b"\n" + line + b"\n", ",".join(tensors(sig)).encode() + b"\r\n" + line]


def _lines(sig):
    return [b"\n".join(_json(v) for v in _plain(array)) for array in tensors(sig).values()]


_MAKERS = {
    registry.SIMPLE: _simple,
    registry.OIP: _oip,
    registry.GENERATE: _generate,
    registry.TFSERVING: _tfserving,
    registry.TF_CLASSIFY: _examples,
    registry.TF_REGRESS: _examples,
    registry.TF_EXPLAIN: _tfserving,
    registry.EMBEDDINGS: _embeddings,
    JSON: _sagemaker,
    JSON_LINES: _lines,
    CSV: _csv,
    NPY: _npy,
    NPZ: _npz,
    OCTETS: _npy,
    TEXT: lambda sig: ["a text, ü".encode()],
    "image/png": lambda sig: [b"\x89PNG\r\n\x1a\n"],
    "image/jpeg": lambda sig: [b"\xff\xd8\xff"],
}
