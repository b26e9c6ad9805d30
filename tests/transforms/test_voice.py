"""voice_activity, with small networks made here that have the inputs of Silero's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.transforms.chains import chain, signature, spec
from tests.transforms.sounds import file

from inferd.core.errors import ConfigError
from inferd.transforms.voice import FRAME, FRAMES, kept, load_network, probabilities, spans

RATE = 16_000
OUT = spec("y", "float32", -1, 10)
ROW = signature(spec("audio", "float32", -1, -1), OUT)


def network(*, sequence: bool, counts: bool = False) -> bytes:
    """Return a network that hears speech where it is loud; ``counts``: where it was asked before."""
    value = helper.make_tensor_value_info
    kind = TensorProto.FLOAT
    state = "h" if sequence else "state"
    nodes = [
        helper.make_node("Abs", ["input"], ["loud"]),
        helper.make_node("ReduceMean", ["loud"], ["mean"], axes=[1], keepdims=0 if sequence else 1),
        helper.make_node("Mul", ["mean", "weight"], ["weighed"]),
        helper.make_node("ReduceMax", [state], ["asked"], keepdims=0),
        helper.make_node("Mul", ["asked", "share"], ["before"]),
        helper.make_node("Add", ["weighed", "before"], ["sum"]),
        helper.make_node("Clip", ["sum", "zero", "one"], ["chance"]),
        helper.make_node("Add", [state, "one"], ["after"]),
    ]
    if sequence:
        inputs = [value("input", kind, ["n", 576]), value("h", kind, [1, 1, 128]),
                  value("c", kind, [1, 1, 128])]  # fmt: skip
        nodes.append(helper.make_node("Identity", ["c"], ["c_after"]))
        outputs = [value("chance", kind, ["n"]), value("after", kind, [1, 1, 128]),
                   value("c_after", kind, [1, 1, 128])]  # fmt: skip
    else:
        inputs = [value("input", kind, [1, 576]), value("state", kind, [2, 1, 128]),
                  value("sr", TensorProto.INT64, [])]  # fmt: skip
        outputs = [value("chance", kind, [1, 1]), value("after", kind, [2, 1, 128])]
    constants = {"weight": 0 if counts else 10, "share": 0.1 if counts else 0, "zero": 0, "one": 1}
    made = helper.make_model(
        helper.make_graph(
            nodes, "g", inputs, outputs,
            [numpy_helper.from_array(np.array(v, np.float32), k) for k, v in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 13)],
    )  # fmt: skip
    made.ir_version = 8
    return made.SerializeToString()


@pytest.fixture(params=["whole sequences", "single frames"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    sequence = request.param == "whole sequences"
    (tmp_path / "silero_vad.onnx").write_bytes(network(sequence=sequence))
    return tmp_path


def spoken(*parts: tuple[float, float]) -> np.ndarray:
    """Return noise for (seconds, how loud) after each other."""
    random = np.random.default_rng(0)
    return np.concatenate(
        [(random.normal(size=int(s * RATE)) * loud).astype(np.float32) for s, loud in parts]
    )


SPEECH = spoken((2, 0.001), (1, 0.2), (2, 0.001), (3, 0.2), (1, 0.001))


def heard(folder: Path, x: np.ndarray, axes: int = 1, **params: Any) -> np.ndarray:
    sig = signature(spec("audio", "float32", -1, *(-1,) * axes), OUT)
    return chain(sig, [{"voice_activity": params or None}], (), folder).prepare({"audio": x})[
        "audio"
    ]


def test_what_nobody_speaks_in_becomes_silence(folder: Path) -> None:
    out = heard(folder, SPEECH)

    assert out.shape == SPEECH.shape
    loud = np.flatnonzero(np.abs(out) > 0.01) / RATE
    assert loud.min() == pytest.approx(2, abs=0.05)
    assert loud.max() == pytest.approx(8, abs=0.05)
    assert not out[: int(1.7 * RATE)].any()
    assert not out[int(3.3 * RATE) : int(4.7 * RATE)].any()
    np.testing.assert_array_equal(out[5 * RATE : 8 * RATE], SPEECH[5 * RATE : 8 * RATE])


def test_only_speech_may_be_kept(folder: Path) -> None:
    out = heard(folder, SPEECH, keep="speech", padding=0)

    assert len(out) / RATE == pytest.approx(4, abs=0.15)
    assert np.abs(out).max() > 0.1


def test_segments_tell_when_it_is_spoken(folder: Path) -> None:
    out = heard(folder, SPEECH, axes=2, keep="segments", padding=100)

    assert out.dtype == np.float32
    np.testing.assert_allclose(out, [[1.9, 3.1], [4.9, 8.1]], atol=0.05)


@pytest.mark.parametrize("keep", ["timing", "speech", "segments"])
@pytest.mark.parametrize("seconds", [0, 0.01, 3])
def test_silence_holds_no_speech(folder: Path, keep: str, seconds: float) -> None:
    out = heard(folder, spoken((seconds, 0.001)), axes=2 if keep == "segments" else 1, keep=keep)

    assert not out.any()
    assert out.shape == {"segments": (0, 2), "speech": (0,)}.get(keep, (int(seconds * RATE),))


def test_parameters_decide_what_speech_is(folder: Path) -> None:
    short = spoken((1, 0.001), (0.2, 0.2), (1, 0.001))
    pause = spoken((1, 0.2), (0.4, 0.001), (1, 0.2))

    def count(x: np.ndarray, **params: Any) -> int:
        return len(heard(folder, x, axes=2, keep="segments", padding=0, **params))

    assert count(short) == 0
    assert count(short, min_speech=100) == 1
    assert count(pause) == 2
    assert count(pause, min_silence=600) == 1
    assert count(spoken((1, 0.05)), threshold=0.3) == 1
    assert count(spoken((1, 0.05))) == 0


@pytest.mark.parametrize("sequence", [True, False])
def test_the_state_is_carried_from_one_call_to_the_next(tmp_path: Path, sequence: bool) -> None:
    path = tmp_path / "silero_vad.onnx"
    path.write_bytes(network(sequence=sequence, counts=True))
    frames = 2 * FRAMES + 5 if sequence else 5

    chances = probabilities(load_network(path, path.name), np.zeros(frames * FRAME, np.float32))

    expected = np.repeat([0, 0.1, 0.2], [FRAMES, FRAMES, 5]) if sequence else np.arange(5) / 10
    np.testing.assert_allclose(chances, expected, atol=1e-6)


def test_spans_are_widened_and_joined_within_the_recording() -> None:
    chances = np.array([0.9] * 3 + [0.1] * 20 + [0.9] * 3 + [0.1] * 20, np.float32)
    length = 46 * FRAME - 100

    def found(padding: int, silence: int = 5 * FRAME) -> list[tuple[int, int]]:
        return spans(
            chances, length, threshold=0.5, speech=FRAME, silence=silence, padding=padding
        )  # fmt: skip

    assert found(0) == [(0, 3 * FRAME), (23 * FRAME, 26 * FRAME)]
    assert found(FRAME) == [(0, 4 * FRAME), (22 * FRAME, 27 * FRAME)]
    assert found(20 * FRAME) == [(0, length)]
    assert found(0, silence=100 * FRAME) == [(0, 26 * FRAME)]


def test_speech_wavers_without_ending() -> None:
    chances = np.array([0.9, 0.4, 0.4, 0.4, 0.4, 0.4, 0.9, 0.1, 0.4, 0.4, 0.4], np.float32)

    assert spans(
        chances, 11 * FRAME, threshold=0.5, speech=FRAME, silence=3 * FRAME, padding=0
    ) == [(0, 7 * FRAME)]  # fmt: skip


def test_every_span_lies_within_the_recording_and_in_order() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        count = int(random.integers(0, 60))
        length = max(0, count * FRAME - int(random.integers(0, FRAME)))
        speech, silence, padding = (int(n) for n in random.integers(0, 4000, 3))

        found = spans(
            random.uniform(size=count), length,
            threshold=0.5, speech=speech, silence=silence, padding=padding,
        )  # fmt: skip

        ends = [n for span in found for n in span]
        assert ends == sorted(ends)
        assert all(0 <= b < e <= length for b, e in found)
        assert kept(np.ones(length, np.float32), found, "timing").sum() == sum(
            e - b for b, e in found
        )


def test_it_follows_a_file_of_any_rate(folder: Path) -> None:
    steps = ["decode_audio", "mono", {"resample": 16_000}, "voice_activity"]
    chained = chain(ROW, steps, (), folder)

    out = chained.prepare({"audio": file(SPEECH[::2], 8000)})["audio"]

    assert out.shape == (9 * RATE,)
    assert not out[:RATE].any()
    assert out[5 * RATE : 8 * RATE].any()


def test_what_it_cannot_work_on_is_refused_when_it_is_declared(folder: Path) -> None:
    for steps, message in (
        (["decode_audio", "mono", "voice_activity"], "put resample: 16000 before it"),
        ([{"voice_activity": {"threshold": 0.1}}], "threshold: must be over 0.15"),
        ([{"voice_activity": {"padding": -1}}], "padding: must be from 0 to 60000 ms"),
        ([{"voice_activity": {"keep": "segments"}}], "gives [segments, 2]"),
    ):
        with pytest.raises(ConfigError) as caught:
            chain(ROW, steps, (), folder)
        assert message in f"{caught.value.message} {caught.value.help}"


@pytest.mark.parametrize("content", ["none", "text", "another network"])
def test_a_file_that_is_no_such_network_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "silero_vad.onnx"
    if content == "text":
        path.write_text("hello")
    if content == "another network":
        model = onnx.load_from_string(network(sequence=True))
        model.graph.input[1].name = model.graph.node[3].input[0] = "other"
        model.graph.node[7].input[0] = "other"
        path.write_bytes(model.SerializeToString())

    with pytest.raises(ConfigError) as caught:
        chain(ROW, ["voice_activity"], (), tmp_path)

    expected = {"none": "there is no file", "text": "is no ONNX file"}
    assert expected.get(content, "is no network of Silero's") in caught.value.message
