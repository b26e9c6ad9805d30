"""What a pickle would import, read from its opcodes and never by unpickling.

This tells a plain PyTorch state dict from a pickled module so that the right error can be given
early. It is advice, not a gate: what keeps a state dict from running code is that PyTorch loads it
with ``weights_only=True``, and what keeps other pickles from running code is that they are refused.
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass
from pathlib import Path

from inferd.runtimes.protowalk import Corrupt

TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How PyTorch's format of before 1.6 begins: its magic number, pickled."""

MAX_BYTES = 64 << 20
MAX_OPCODES = 4_000_000

_PLAIN = frozenset({
    "collections OrderedDict", "collections Counter",
    "torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3", "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_parameter_with_state", "torch._utils _rebuild_qtensor",
    "torch._utils _rebuild_sparse_tensor", "torch._utils _rebuild_meta_tensor_no_storage",
    "torch._tensor _rebuild_from_type_v2", "torch.nn.parameter Parameter", "torch Tensor",
    "torch Size", "torch device", "torch.serialization _get_layout", "torch.storage UntypedStorage",
    "torch.storage TypedStorage", "torch per_tensor_affine", "torch per_channel_affine",
    "_codecs encode",
})  # fmt: skip
_PLAIN_TYPES = frozenset(
    [
        "float32",
        "float64",
        "float16",
        "bfloat16",
        "uint8",
        "int8",
        "int16",
        "int32",
        "int64",
        "bool",
        "complex64",
        "complex128",
        "quint8",
        "qint8",
        "qint32",
        "float8_e4m3fn",
        "float8_e5m2",
        "uint16",
        "uint32",
        "uint64",
    ]
)


@dataclass(frozen=True, slots=True)
class Imports:
    """The ``module name`` pairs a pickle imports; ``torch`` if any of them is PyTorch's."""

    names: tuple[str, ...]

    @property
    def foreign(self) -> tuple[str, ...]:
        """Those that plain tensors and containers do not need."""
        return tuple(n for n in self.names if not _plain(n))

    @property
    def torch(self) -> bool:
        """Whether it is a PyTorch pickle at all."""
        return any(n.startswith("torch") for n in self.names)


def _plain(name: str) -> bool:
    module, _, attribute = name.partition(" ")
    if module == "torch" and (attribute.endswith("Storage") or attribute in _PLAIN_TYPES):
        return True
    return name in _PLAIN


def scan_bytes(data: bytes, pickles: int = 1) -> Imports:
    """Return what ``pickles`` pickles, one after another, import. Raises ``Corrupt``."""
    stream = io.BytesIO(data)
    names: dict[str, None] = {}
    texts: list[str] = ["?", "?"]
    count = 0
    try:
        for _ in range(pickles):
            for opcode, argument, _position in pickletools.genops(stream):
                count += 1
                if count > MAX_OPCODES:
                    raise Corrupt(f"the pickle has more than {MAX_OPCODES} opcodes")
                if opcode.name in {"GLOBAL", "INST"}:
                    names[str(argument)] = None
                elif opcode.name == "STACK_GLOBAL":
                    names[f"{texts[-2]} {texts[-1]}"] = None
                elif isinstance(argument, str) and "UNICODE" in opcode.name:
                    texts = [texts[-1], argument]
    except Corrupt:
        raise
    except Exception as error:  # pickletools raises a dozen types on bytes that are no pickle
        raise Corrupt(f"the pickle in it is damaged: {error}") from None
    return Imports(tuple(names))


def scan_file(path: Path) -> Imports:
    """Return what a pickle file imports. Raises ``Corrupt``."""
    with path.open("rb") as stream:
        return scan_bytes(stream.read(MAX_BYTES))


def scan_torch_legacy(path: Path) -> Imports:
    """Return what the object in a PyTorch file of before 1.6 imports. Raises ``Corrupt``.

    Such a file is five pickles: magic number, protocol, system, the object, its storage keys.
    """
    with path.open("rb") as stream:
        return scan_bytes(stream.read(MAX_BYTES), pickles=4)


def looks_like_pickle(head: bytes) -> bool:
    """Return whether a file of protocol 2 or later begins with these bytes."""
    return len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5
