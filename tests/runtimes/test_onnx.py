from __future__ import annotations

import threading

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from inferd.core.errors import InvalidInput, ModelFailed, ModelFileError
from inferd.runtimes.onnx import ONNXRuntime

from .conftest import linear_onnx, onnx_bytes, value


def load(path, **options):
    runtime = ONNXRuntime()
    return runtime, runtime.load(path, {"threads": 1, **options})


def test_reads_the_signature_with_its_symbols(linear):
    _, signature = load(linear)

    assert signature.batched
    assert [(s.name, s.dtype.name, s.shape, s.symbols) for s in signature.inputs] == [
        ("x", "FP32", (-1, 4), ("batch", None))
    ]
    assert signature.outputs[0].symbols == ("batch", None)


def test_answers_rows_as_numpy_does(linear):
    runtime, _ = load(linear)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)

    y = runtime.run({"x": x})["y"]

    e = np.exp(x @ (np.arange(12, dtype=np.float32).reshape(4, 3) / 10))
    np.testing.assert_allclose(y, e / e.sum(1, keepdims=True), rtol=1e-5)


def test_one_session_answers_threads_at_once(linear):
    runtime, _ = load(linear)
    x = np.eye(4, dtype=np.float32)
    want = runtime.run({"x": x})["y"]
    wrong = []

    def work():
        for _ in range(200):
            if not np.array_equal(runtime.run({"x": x})["y"], want):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    assert wrong == []


def test_fixed_batch_of_one_is_batched_one_at_a_time(save):
    path = save(
        "one.onnx",
        onnx_bytes(
            [helper.make_node("Relu", ["x"], ["y"])], [value("x", [1, 4])], [value("y", [1, 4])]
        ),
    )

    _, signature = load(path)

    assert signature.batched and signature.max_batch == 1
    assert signature.inputs[0].shape == (-1, 4)


def test_a_model_without_inputs_is_not_batched(save):
    node = helper.make_node("Constant", [], ["y"], value=numpy_helper.from_array(np.ones(2, "f")))
    runtime, signature = load(save("none.onnx", onnx_bytes([node], [], [value("y", [2])])))

    assert signature.inputs == () and not signature.batched
    np.testing.assert_array_equal(runtime.run({})["y"], [1, 1])


def test_a_scalar_input_is_not_batched(save):
    data = onnx_bytes([helper.make_node("Neg", ["x"], ["y"])], [value("x", [])], [value("y", [])])
    runtime, signature = load(save("scalar.onnx", data))

    assert signature.inputs[0].shape == () and not signature.batched
    y = runtime.run({"x": np.array(2, np.float32)})["y"]
    assert isinstance(y, np.ndarray) and y == -2


def test_texts_go_in_as_bytes_and_come_out_as_text(save):
    node = helper.make_node("Identity", ["x"], ["y"])
    kind = TensorProto.STRING
    path = save(
        "text.onnx", onnx_bytes([node], [value("x", ["n"], kind)], [value("y", ["n"], kind)])
    )
    runtime, signature = load(path)

    assert signature.inputs[0].dtype.name == "BYTES"
    assert list(runtime.run({"x": np.array(["é".encode(), "b"], object)})["y"]) == ["é", "b"]
    with pytest.raises(InvalidInput, match="UTF-8"):
        runtime.run({"x": np.array([b"\xff"], object)})


def test_the_rank_of_an_output_the_file_leaves_open_is_learned(save):
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Reshape", ["x", "s2"], ["y"]),
    ]
    data = onnx_bytes(
        nodes, [value("x", ["n", 4]), value("s2", ["k"], TensorProto.INT64)], [value("y", None)]
    )
    # Two ones cannot reshape 2x4 numbers: the error asks for a declaration.
    with pytest.raises(ModelFileError, match="trial run") as caught:
        load(save("open.onnx", data))
    assert "signature:" in caught.value.help

    free = onnx_bytes(
        [helper.make_node("NonZero", ["x"], ["y"])],
        [value("x", ["n", 4])],
        [value("y", None, TensorProto.INT64)],
    )
    _, signature = load(save("free.onnx", free))
    assert len(signature.outputs[0].shape) == 2


def test_an_input_of_unknown_rank_must_be_declared(save):
    data = onnx_bytes(
        [helper.make_node("Relu", ["x"], ["y"])], [value("x", None)], [value("y", None)]
    )
    path = save("vague.onnx", data)

    with pytest.raises(ModelFileError, match="how many axes the input 'x'"):
        load(path)
    declared = {"inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 4]}]}
    _, signature = load(path, signature=declared)
    assert signature.inputs[0].shape == (-1, 4) and signature.batched


def test_sklearn_class_probabilities_become_columns(save):
    sklearn = pytest.importorskip("sklearn.linear_model")
    skl2onnx = pytest.importorskip("skl2onnx")
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    labels = np.array(["b", "a", "c"])[np.arange(60) % 3]
    classifier = sklearn.LogisticRegression().fit(x, labels)
    path = save("zipmap.onnx", skl2onnx.to_onnx(classifier, x[:1]).SerializeToString())

    runtime, signature = load(path)
    outputs = runtime.run({"X": x[:7]})

    assert [s.dtype.name for s in signature.outputs] == ["BYTES", "FP32"] and signature.batched
    assert outputs["output_probability"].dtype == np.float32
    assert signature.outputs[1].shape == (-1, 3)
    np.testing.assert_allclose(
        outputs["output_probability"], classifier.predict_proba(x[:7]), rtol=1e-4
    )
    assert list(outputs["output_label"]) == list(classifier.predict(x[:7]))


def test_other_containers_are_refused_with_the_fix(save):
    node = helper.make_node("SequenceConstruct", ["x"], ["y"])
    output = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    path = save("seq.onnx", onnx_bytes([node], [value("x", ["n", 4])], [output]))

    with pytest.raises(ModelFileError, match=r"seq.onnx: the output 'y' is seq"):
        load(path)


def test_a_declaration_may_narrow_and_not_contradict(linear):
    narrow = {"inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 4]}]}
    _, signature = load(linear, signature={**narrow, "max_batch": 8})
    assert signature.max_batch == 8 and signature.inputs[0].symbols == ("batch", None)

    for wrong in ({"shape": [-1, 5]}, {"dtype": "int64"}, {"name": "z"}, {"shape": [-1]}):
        row = {**narrow["inputs"][0], **wrong}
        with pytest.raises(ModelFileError, match=r"linear.onnx: model.yaml declares the input"):
            load(linear, signature={"inputs": [row]})

    _, signature = load(linear, signature={"batched": False})
    assert not signature.batched


def test_a_wrong_shape_is_the_models_error_without_a_trace(linear):
    runtime, _ = load(linear)

    with pytest.raises(ModelFailed, match="Got: 5 Expected: 4") as caught:
        runtime.run({"x": np.zeros((2, 5), np.float32)})
    assert "\n" not in caught.value.message and "ONNXRuntimeError" not in caught.value.message


def test_version_names_the_library(linear):
    runtime, _ = load(linear)
    assert runtime.version().startswith("onnxruntime 1.")
    runtime.close()
    runtime.close()


def test_a_future_opset_says_what_to_do(save):
    model = linear_onnx().replace(b"\x42\x04\x0a\x00\x10\x11", b"\x42\x04\x0a\x00\x10\x7f")
    with pytest.raises(
        ModelFileError, match=r"future.onnx: ONNX Runtime .* cannot load it"
    ) as caught:
        load(save("future.onnx", model))
    assert "opset" in (caught.value.help or "")


def test_names_that_are_no_text_are_damage(save, linear):
    data = linear.read_bytes().replace(b"batch", b"ba\xffch")
    with pytest.raises(ModelFileError, match=r"named.onnx"):
        load(save("named.onnx", data))


def test_bytes_flipped_anywhere_give_a_model_or_a_refusal(save, linear):
    import random

    chance, data = random.Random(11), linear.read_bytes()
    refused = 0
    for _ in range(150):
        broken = bytearray(data)
        broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            load(save("flipped.onnx", bytes(broken)))
        except ModelFileError:
            refused += 1
    assert refused


@pytest.mark.parametrize(
    ("kept", "shape"), [([1, 0, 0, 0], (-1, 1)), ([1, 1, 0, 0], (-1, -1))], ids=["one", "two"]
)
def test_a_size_of_one_that_the_exporter_left_out_is_found(save, kept, shape):
    data = onnx_bytes(
        [helper.make_node("Compress", ["x", "kept"], ["y"], axis=1)],
        [value("x", ["batch", 4])],
        [value("y", ["batch", "Compress_dim_1"])],
        [numpy_helper.from_array(np.array(kept, bool), "kept")],
    )
    path = save("left.onnx", data)

    assert load(path)[1].outputs[0].shape == shape
    stated = {"outputs": [{"name": "y", "dtype": "float32", "shape": [-1, -1]}]}
    assert load(path, signature=stated)[1].outputs[0].shape == (-1, -1)
