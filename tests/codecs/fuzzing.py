"""Bodies for fuzzing: bytes, mutations of good bodies, and JSON made of a protocol's own words."""

from hypothesis import strategies as st
from tests.codecs.signatures import signature

SIGNATURES = {
    "vector": signature([("x", "FP32", [-1, 3])]),
    "wide": signature([("x", "INT8", [-1, -1])], [("scores", "FP32", [-1, 4])]),
    "text": signature([("text", "BYTES", [-1], "text")], [("v", "FP32", [-1, 2])]),
    "image": signature([("image", "BYTES", [-1], "image")]),
    "sound": signature([("audio", "BYTES", [-1], "audio")]),
    "two": signature(
        [("a", "FP16", [-1, 1]), ("b", "BYTES", [-1, 1])],
        [("scores", "FP64", [-1, 2]), ("classes", "BYTES", [-1, 2])],
    ),
    "ids": signature(
        [("input_ids", "INT64", [-1, -1]), ("attention_mask", "INT64", [-1, -1])],
        [("v", "FP32", [-1, 2]), ("prompt_tokens", "INT32", [-1])],
    ),
    "optional": signature(
        [
            ("text", "BYTES", [-1]),
            ("n", "INT8", [-1, 1], {"default": 7}),
            ("marks", "BYTES", [-1, -1], {"default": ["!"]}),
        ]
    ),
    "cube": signature([("x", "UINT16", [-1, 2, 1, -1])]),
    "unbatched": signature(
        [("x", "BOOL", []), ("n", "UINT64", [2, -1])], [("y", "FP32", [])], batched=False
    ),
}

NUMBERS = (
    0, 1, -1, 2, 3, 127, 128, -129, 65536, 2**31, 2**32, 2**53 + 1, 2**62, 2**63, -(2**63), 2**64,
    10**30, 10**400, 0.5, -0.0, 1e39, 1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
TOKENS = (
    b"null", b"NaN", b"-Infinity", b"true", b"[", b"]", b"{", b"}", b",", b":", b'"', b"[]", b"{}",
    b"1e999", b"-", b"\\", b"\\ud800", b"\x00", b"\xff", b"\xf0\x9f", b"\xef\xbb\xbf", b"\n", b"\r",
    b"9" * 20, b"9" * 400, b"18446744073709551616", b'{"b64":"AA=="}', b"[" * 70, b"(", b")", b"<f4",
    b"|O", b"=?,", b"PK\x05\x06", b"\x7f" * 4, b"\x80" * 9 + b"\x01", b"\x08", b"\x12",
)  # fmt: skip


@st.composite
def mutated(draw, seeds):
    """Strategy: one of ``seeds`` after a few changes: bytes flipped, cut, repeated, put in."""
    body = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        end = min(len(body), at + draw(st.integers(0, 12)))
        match draw(st.integers(0, 4)):
            case 0:
                del body[at:end]
            case 1:
                body[at:end] = draw(st.sampled_from(TOKENS))
            case 2:
                body[at:at] = body[at:end] * draw(st.integers(1, 3))
            case 3:
                body[at : at + 1] = draw(st.binary(max_size=1))
            case _:
                del body[at:]
    return bytes(body)


def values(words):
    """Strategy: JSON values whose keys and texts are ``words`` more often than not."""
    word = st.sampled_from(sorted(words)) | st.text(max_size=3)
    b64 = st.text(max_size=6).map(lambda text: {"b64": text})
    # The parser that reads bare NaN is another, and knows no limit on integers.
    lenient = word.map(lambda key: {key: 10**400, "nan": float("nan")})
    leaf = st.none() | st.booleans() | st.sampled_from(NUMBERS) | word | st.integers(0, 3) | b64 | (
        lenient
    )  # fmt: skip
    return st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(word, inner, max_size=4),
        max_leaves=16,
    )


@st.composite
def altered(draw, good, words):
    """Strategy: the JSON value ``good`` with something else in a place of it, or more in it."""
    for _ in range(draw(st.integers(1, 3))):
        good = _altered(draw, good, words, draw(st.integers(0, 5)))
    return good


def _altered(draw, value, words, depth):
    if depth and isinstance(value, list) and value:
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], _altered(draw, value[at], words, depth - 1), *value[at + 1 :]]
    if depth and isinstance(value, dict):
        key = draw(st.sampled_from(sorted({*value, *words})))
        return {**value, key: _altered(draw, value.get(key), words, depth - 1)}
    return draw(values(words))
