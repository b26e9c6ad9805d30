from __future__ import annotations

import numpy as np
import pytest

from inferd.core.errors import InferdError, InvalidInput, ModelFailed, ModelFileError
from inferd.runtimes.python import PythonRuntime

HEAD = """
from typing import Annotated, TypedDict
import numpy as np
from inferd import Model

"""
F = 'Annotated[np.ndarray, "float32", (-1, 2)]'


@pytest.fixture
def load(tmp_path):
    def loaded(body, **options):
        path = tmp_path / "code.py"
        path.write_text(HEAD + body)
        runtime = PythonRuntime()
        options = {"threads": 1, "directory": str(tmp_path), **options}
        return runtime, runtime.load(path, options)

    return loaded


def shapes(specs):
    return {s.name: (s.dtype.name, s.shape) for s in specs}


def texts(*values):
    out = np.empty(len(values), object)
    out[:] = values
    return out


def test_hints_give_the_signature_and_the_arrays(load):
    runtime, signature = load(f"""
class Sum(Model):
    def predict(self, x: {F}, y: {F}) -> Annotated[np.ndarray, "float64", (-1,)]:
        return (x - y).sum(axis=1)
""")

    assert shapes(signature.inputs) == {"x": ("FP32", (-1, 2)), "y": ("FP32", (-1, 2))}
    assert shapes(signature.outputs) == {"output": ("FP64", (-1,))} and signature.batched
    out = runtime.run({"x": np.ones((3, 2), "f"), "y": np.zeros((3, 2), "f")})["output"]
    assert out.dtype == np.float64 and out.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("hint", "returned", "given", "want"),
    [
        pytest.param(
            "list[float]", "[v * 2 for v in data]", np.array([1, 2], "f"), [2, 4], id="floats"
        ),
        pytest.param("list[int]", "[v + 1 for v in data]", np.array([1, 2]), [2, 3], id="ints"),
        pytest.param(
            "list[str]",
            "[t.upper() for t in data]",
            texts(b"a", "\u00e9".encode()),
            [b"A", "\u00c9".encode()],
            id="texts",
        ),
        pytest.param(
            "list[list[float]]",
            "[r[::-1] for r in data]",
            np.array([[1, 2]], "f"),
            [[2, 1]],
            id="rows",
        ),
    ],
)
def test_lists_are_batches(load, hint, returned, given, want):
    runtime, signature = load(f"""
class M(Model):
    def predict(self, data: {hint}) -> {hint}:
        assert isinstance(data, list)
        return {returned}
""")

    assert signature.batched and signature.inputs[0].shape == (-1,) * given.ndim
    assert runtime.run({"data": given})["output"].tolist() == want


def test_single_values_mean_one_example_at_a_time(load):
    runtime, signature = load("""
class M(Model):
    def predict(self, data: list[float]) -> float:
        return sum(data)
""")

    assert shapes(signature.inputs) == {"data": ("FP32", (-1, -1))}
    assert shapes(signature.outputs) == {"output": ("FP32", (-1,))}
    assert runtime.run({"data": np.array([[1, 2], [3, 4]], "f")})["output"].tolist() == [3, 7]

    runtime, _ = load("""
class M(Model):
    def predict(self, text: str, times: int) -> str:
        return text * times
""")
    out = runtime.run({"text": texts(b"a", b"b"), "times": np.array([1, 3])})["output"]
    assert out.tolist() == [b"a", b"bbb"]


def test_class_attributes_declare_and_one_parameter_takes_all(load):
    runtime, signature = load("""
class M(Model):
    inputs = {"a": ("float32", [-1]), "b": (np.int64, (-1,))}
    outputs = {"sum": ("float32", [-1]), "name": ("string", [-1])}

    def predict(self, batch):
        return {"name": [str(v) for v in batch["b"]], "sum": batch["a"] + batch["b"]}
""")

    out = runtime.run({"a": np.ones(2, "f"), "b": np.array([1, 2])})
    assert shapes(signature.inputs)["b"] == ("INT64", (-1,))
    assert list(out) == ["sum", "name"]
    assert out["sum"].dtype == np.float32 and out["name"].tolist() == [b"1", b"2"]


def test_model_yaml_goes_before_the_class(load):
    declared = {
        "inputs": [{"name": "x", "dtype": "int64", "shape": [-1, 3]}],
        "outputs": [{"name": "y", "dtype": "int64", "shape": [-1]}],
    }
    runtime, signature = load(
        """
class M(Model):
    def predict(self, inputs):
        return inputs["x"].sum(1)
""",
        signature=declared,
    )

    assert shapes(signature.outputs) == {"y": ("INT64", (-1,))}
    assert runtime.run({"x": np.ones((2, 3), np.int64)})["y"].tolist() == [3, 3]


def test_undeclared_outputs_are_learned(load):
    _, signature = load(f"""
class M(Model):
    def predict(self, x: {F}):
        return {{"row": x, "label": ["a"] * len(x)}}
""")

    assert shapes(signature.outputs) == {"row": ("FP32", (-1, -1)), "label": ("BYTES", (-1,))}


def test_typed_dict_and_rows_of_dicts(load):
    runtime, signature = load("""
class Out(TypedDict):
    label: list[str]
    score: list[float]

class M(Model):
    def predict(self, texts: list[str]) -> Out:
        return [{"label": t, "score": 1} for t in texts]
""")

    assert shapes(signature.outputs) == {"label": ("BYTES", (-1,)), "score": ("FP32", (-1,))}
    out = runtime.run({"texts": texts(b"a", b"b")})
    assert out["score"].dtype == np.float32 and out["label"].tolist() == [b"a", b"b"]


def test_preprocess_and_postprocess_see_one_request(load):
    runtime, signature = load("""
class M(Model):
    def preprocess(self, texts: list[str]):
        return np.array([[len(t)] for t in texts], np.float32)
    def predict(self, lengths):
        return {"half": lengths[:, 0] / 2}
    def postprocess(self, outputs) -> list[str]:
        return [f"{v:.1f}" for v in outputs["half"]]
""")

    assert shapes(signature.inputs) == {"texts": ("BYTES", (-1,))}
    assert shapes(signature.outputs) == {"output": ("BYTES", (-1,))}
    assert runtime.preprocess is not None and runtime.postprocess is not None
    first = runtime.preprocess({"texts": texts(b"abc")})
    second = runtime.preprocess({"texts": texts(b"a", b"ab")})
    batch = {k: np.concatenate([first[k], second[k]]) for k in first}
    out = runtime.run(batch)
    assert list(batch) == ["lengths"]
    assert runtime.postprocess({"half": out["half"][1:]})["output"].tolist() == [b"0.5", b"1.0"]


def test_without_them_the_executor_has_nothing_to_call(load):
    runtime, _ = load(f"class M(Model):\n    def predict(self, x: {F}) -> {F}:\n        return x\n")
    assert runtime.preprocess is None and runtime.postprocess is None and not runtime.streams


def test_load_is_given_the_artifact_and_parameters_the_constructor(load, tmp_path):
    (tmp_path / "weights.npy").write_bytes(b"")
    runtime = PythonRuntime()
    (tmp_path / "scaled.py").write_text(
        HEAD
        + f"""
class M(Model):
    def __init__(self, factor=1):
        self.factor = factor
    def load(self, path):
        self.path = path
    def predict(self, x: {F}) -> list[str]:
        return [f"{{self.path.name}} {{self.factor}}"] * len(x)
"""
    )
    options = {"class": "scaled:M", "directory": str(tmp_path), "parameters": {"factor": 3}}
    runtime.load(tmp_path / "weights.npy", options)

    assert runtime.run({"x": np.ones((1, 2), "f")})["output"].tolist() == [b"weights.npy 3"]


def test_a_generator_streams_and_is_joined_for_who_does_not(load):
    runtime, signature = load("""
class M(Model):
    def predict(self, text: str):
        for word in text.split():
            yield word + " "
""")

    assert runtime.streams and shapes(signature.outputs) == {"output": ("BYTES", (-1,))}
    assert runtime.run({"text": texts(b"a b", b"c")})["output"].tolist() == [b"a b ", b"c "]
    engine = runtime.engine()
    engine.add(7, {"text": texts(b"a b")}, {})
    steps = [step for _ in range(3) for step in engine.step()]
    assert [(key, last) for key, _, last in steps] == [(7, False), (7, False), (7, True)]
    assert [piece["output"].tolist() for _, piece, _ in steps[:2]] == [[b"a "], [b"b "]]
    assert signature.ragged and runtime.sequences is None
    runtime.trial = 1
    assert runtime.run({"text": texts(b"a b")})["output"].tolist() == [b"a "]


def test_a_generator_takes_parameters_of_the_request(load):
    runtime, signature = load("""
from collections.abc import Iterator
class M(Model):
    sequences = 3
    def predict(self, text: str, parameters, times: int = 2, end: str = ".") -> Iterator[str]:
        for _ in range(times):
            yield text + end + ",".join(sorted(parameters))
""")
    engine = runtime.engine()

    def pieces(**parameters):
        engine.add(1, {"text": texts(b"a")}, parameters)
        steps = []
        while not steps or not steps[-1][2]:
            steps += engine.step()
        return [piece["output"][0] for _, piece, last in steps if not last]

    assert [s.name for s in signature.inputs] == ["text"] and runtime.sequences == 3
    assert pieces() == [b"a.", b"a."]
    assert pieces(times=1.0, end="!", other=True) == [b"a!end,other,times"]
    with pytest.raises(InvalidInput, match="'times' must be a whole number, got 'x'"):
        engine.add(2, {"text": texts(b"a")}, {"times": "x"})


def test_a_class_with_the_verbs_of_an_engine_streams(load):
    runtime, signature = load("""
class M(Model):
    inputs = {"n": ("int64", [-1])}
    outputs = {"i": ("int64", [-1]), "end": ("bool", [-1])}
    sequences = 4
    def load(self, path):
        self.left = {}
    def add(self, key, inputs, parameters):
        self.left[key] = int(inputs["n"][0])
    def step(self):
        found = []
        for key in list(self.left):
            self.left[key] -= 1
            last = self.left[key] <= 0
            found.append((key, {"i": self.left[key], **({"end": True} if last else {})}, last))
            if last:
                del self.left[key]
        return found
    def cancel(self, key):
        self.left.pop(key, None)
""")

    assert runtime.streams and runtime.sequences == 4
    assert shapes(signature.outputs) == {"i": ("INT64", (-1,)), "end": ("BOOL", (-1,))}
    answer = runtime.run({"n": np.array([2, 1])})
    assert {k: v.tolist() for k, v in answer.items()} == {"i": [0, 0], "end": [True, True]}


def test_a_model_that_streams_needs_a_batch_axis(load):
    with pytest.raises(ModelFileError, match="a model that streams has a batch axis"):
        load("""
class M(Model):
    inputs = {"n": ("int64", [2])}
    outputs = {"i": ("int64", [2])}
    def predict(self, n):
        yield n
""")


def test_exceptions_of_the_users_code_pass_through_and_exit_does_not(load):
    runtime, _ = load(f"""
import sys
class M(Model):
    def predict(self, x: {F}) -> {F}:
        if x[0, 0] > 1:
            sys.exit(3)
        if x[0, 0] > 0.9:
            raise KeyError("no such user")
        return x
""")

    with pytest.raises(KeyError, match="no such user"):
        runtime.run({"x": np.ones((1, 2), "f")})
    with pytest.raises(ModelFailed, match="sys.exit"):
        runtime.run({"x": np.full((1, 2), 2, "f")})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            "x[:1]", "returned 1 for the output 'output', and the batch has 3 rows", id="rows"
        ),
        pytest.param("None", "is None", id="none"),
        pytest.param("[[1], [1, 2], [3]]", "ragged", id="ragged"),
        pytest.param("['a', 'b', 'c']", "holds <U1 values, and FP32 is declared", id="texts"),
        pytest.param("{'z': x}", "lacks the output 'output'", id="name"),
        pytest.param("object()", "holds object values", id="object"),
    ],
)
def test_a_wrong_answer_is_named(load, body, message):
    runtime, _ = load(
        f"class M(Model):\n    def predict(self, x: {F}) -> {F}:\n        return {body}\n"
    )

    with pytest.raises(ModelFailed) as caught:
        runtime.run({"x": np.ones((3, 2), "f")})
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param("class M(Model:\n  pass", "code.py:6: SyntaxError", id="syntax"),
        pytest.param("import no_such_thing_at_all", "imports 'no_such_thing_at_all'", id="import"),
        pytest.param("raise OSError('no disk')", "OSError: no disk", id="raising"),
        pytest.param("import sys; sys.exit(1)", "SystemExit: 1", id="exit"),
        pytest.param("x = 1", "must hold one class derived from inferd.Model, and holds: none", id="none"),
        pytest.param("class A(Model): pass\nclass B(Model): pass", "holds: A, B", id="two"),
        pytest.param("class A(Model): pass", "defines no `predict`", id="no-predict"),
        pytest.param("class A(Model):\n  def predict(self, x): return x", "nothing says what it takes", id="unhinted"),
        pytest.param("class A(Model):\n  def predict(self, x: np.ndarray): return x", "says no datatype and shape", id="vague"),
        pytest.param("class A(Model):\n  def predict(self, x: 'Nope'): return x", "type hints cannot be read", id="bad-hint"),
        pytest.param("class A(Model):\n  async def predict(self, x: list[str]): return x", "must not be async", id="async"),
        pytest.param("class A(Model):\n  def load(self, path): 1 / 0\n  def predict(self, x: list[str]): return x", "ZeroDivisionError: division by zero", id="load"),
        pytest.param("class A(Model):\n  inputs = {'x': 3}\n  def predict(self, x): return x", "must be (dtype, shape), not 3", id="attribute"),
        pytest.param("class A(Model):\n  inputs = {'x': ('flaot32', [1])}\n  def predict(self, x): return x", "unknown datatype 'flaot32'", id="dtype"),
        pytest.param("class A(Model):\n  inputs = {'x': ('float32', [-1])}\n  def predict(self, a, b): return a", "takes a, b, and the model's inputs are x", id="parameters"),
        pytest.param("class A(Model):\n  def predict(self, x: list[str]): raise ValueError('bad')", "trial run on made-up inputs failed: ValueError: bad", id="trial"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_says_why(load, body, message, capfd):
    with pytest.raises(ModelFileError) as caught:
        load(body)
    assert message in caught.value.message and "code" in caught.value.message


def test_modules_and_classes_are_looked_up_by_name(tmp_path):
    (tmp_path / "sentiment.py").write_text(HEAD + "class Sentiment(Model): pass\ndef f(): pass\n")

    def load(reference):
        PythonRuntime().load(tmp_path, {"class": reference, "directory": str(tmp_path)})

    with pytest.raises(ModelFileError, match="no module 'sentimnet'") as caught:
        load("sentimnet:Sentiment")
    assert str(tmp_path) in caught.value.message and "'sentiment'" in (caught.value.help or "")
    with pytest.raises(ModelFileError, match="has no 'Sentimnt'") as caught:
        load("sentiment:Sentimnt")
    assert "'Sentiment'" in (caught.value.help or "")
    with pytest.raises(ModelFileError, match="is a function, and a model is a class"):
        load("sentiment:f")


def test_two_models_with_modules_of_one_name_do_not_mix(tmp_path):
    runtimes = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "helper.py").write_text(f"NAME = {name!r}\n")
        (folder / "model.py").write_text(
            HEAD
            + "import helper\n"
            + """
class M(Model):
    def predict(self, texts: list[str]) -> list[str]:
        return [helper.NAME for _ in texts]
"""
        )
        runtime = PythonRuntime()
        runtime.load(folder / "model.py", {"directory": str(folder)})
        runtimes.append(runtime)

    got = [r.run({"texts": texts(b"x")})["output"][0] for r in runtimes]
    assert got == [b"one", b"two"]


def test_a_signature_of_the_class_that_is_wrong_is_an_inferd_error(load):
    with pytest.raises(InferdError):
        load("class M(Model):\n  inputs = 3\n  def predict(self, x): return x\n")


def test_a_single_value_returned_after_an_unhinted_parameter_means_one_example(load):
    runtime, signature = load("""
class M(Model):
    def preprocess(self, text: str):
        return np.full(2, len(text), np.float32)
    def predict(self, x):
        return x
    def postprocess(self, output) -> float:
        return float(output.sum())
""")

    assert signature.batched and shapes(signature.outputs) == {"output": ("FP32", (-1,))}
    out = runtime.run(runtime.preprocess({"text": texts(b"abc", b"d")}))
    assert runtime.postprocess(out)["output"].tolist() == [6, 2]


def test_one_value_for_several_rows_is_refused(load):
    with pytest.raises(ModelFileError) as caught:
        load("""
class M(Model):
    def predict(self, texts: list[str]):
        return [1.0 for _ in texts]
    def postprocess(self, output):
        return float(output.sum())
""")

    said = "postprocess returned a single value for the output 'output', and the batch has 2 rows"
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("body", "ragged"),
    [
        pytest.param("def predict(self, texts: list[str]) -> list[list[str]]: return [t.split() for t in texts]", True, id="lists"),
        pytest.param("def predict(self, texts: str) -> list[str]: return texts.split()", True, id="each"),
        pytest.param("def predict(self, texts: str): return texts.split()", True, id="each-learned"),
        pytest.param("outputs = {'w': ('string', [-1, -1])}\n  def predict(self, texts: list[str]): return [t.split() for t in texts]", True, id="declared"),
        pytest.param("outputs = {'w': ('string', [-1, 2])}\n  def predict(self, texts: list[str]): return [t.split()[:2] for t in texts]", False, id="declared-fixed"),
        pytest.param("outputs = {'w': ('float32', [-1, -1])}\n  def predict(self, x: Annotated[np.ndarray, 'float32', (-1, -1)]): return x", False, id="follows"),
        pytest.param(f"def predict(self, x: {F}) -> {F}: return x", False, id="arrays"),
        pytest.param("def predict(self, texts: list[str]) -> list[list[str]]: return [t.split() for t in texts]\n  def postprocess(self, output) -> list[int]: return [len(r) for r in output]", True, id="before-the-last"),
    ],
)  # fmt: skip
def test_which_models_may_answer_rows_in_unequal_shapes(load, body, ragged):
    assert load(f"class M(Model):\n  {body}\n")[1].ragged is ragged


def test_ragged_answers_become_a_column(load):
    runtime, _ = load("""
class M(Model):
    def predict(self, texts: list[str]) -> list[list[str]]:
        return [t.split() for t in texts]
""")

    out = runtime.run({"texts": texts(b"a b", b"c")})["output"]
    assert [row.tolist() for row in out] == [[b"a", b"b"], [b"c"]]
    even = runtime.run({"texts": texts(b"a", b"c")})["output"]
    assert even.tolist() == [[b"a"], [b"c"]]


def test_ragged_answers_of_what_says_nothing_are_told_how(load):
    runtime, _ = load("""
class M(Model):
    def predict(self, texts: list[str]):
        return [t.split() for t in texts]
""")

    with pytest.raises(ModelFailed, match="is ragged") as caught:
        runtime.run({"texts": texts(b"a b", b"c")})
    assert "-> list[list[float]]" in (caught.value.help or "")


def test_outputs_of_one_value_are_learned_as_such(load):
    _, signature = load(f"""
class M(Model):
    def predict(self, x: {F}):
        return x.sum(axis=1, keepdims=True)
""")

    assert shapes(signature.outputs) == {"output": ("FP32", (-1, 1))}
