import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.client.result import Result, stripped, timings_of
from inferd.core.errors import InvalidInput, MissingExtra


def objects(*elements):
    array = np.empty(len(elements), object)
    array[:] = elements
    return array


RESULT = Result(
    {"y": np.array([0.5, 0.7]), "label": objects(b"a", "é".encode())}, model="m", version="2"
)


def test_a_result_is_a_mapping_of_arrays():
    assert list(RESULT) == ["y", "label"] and len(RESULT) == 2
    assert RESULT["y"].tolist() == [0.5, 0.7]
    assert "float64 [2]" in repr(RESULT) and "'m'" in repr(RESULT)


def test_the_value_of_one_output():
    assert Result({"y": np.array([1, 2])}).value.tolist() == [1, 2]
    assert Result({"y": np.array(1.5)}).value == 1.5
    with pytest.raises(InvalidInput, match="there are 2") as error:
        _ = RESULT.value
    assert "'y', 'label'" in error.value.help


def test_texts_are_asked_for():
    assert RESULT.text().tolist() == ["a", "é"]
    assert RESULT["label"].tolist() == [b"a", "é".encode()]
    alone = np.empty((), object)
    alone[()] = b"x"
    assert Result({"t": alone}).text() == "x"


@pytest.mark.parametrize(
    ("name", "said"), [("lable", "no output named 'lable'"), ("y", "holds float64, no texts")], ids=str
)  # fmt: skip
def test_what_is_no_text_is_refused(name, said):
    with pytest.raises(InvalidInput, match=said):
        RESULT.text(name)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(InvalidInput, match="not UTF-8"):
        Result({"b": objects(b"\xff")}).text()


def test_a_table_has_a_row_for_each_example():
    pytest.importorskip("pandas")
    outputs = {
        "a": np.array([1, 2]), "b": np.array([[3], [4]]), "c": np.arange(4).reshape(2, 2),
        "d": np.zeros((2, 2, 2)), "t": objects(b"x", b"\xff"),
    }  # fmt: skip
    table = Result(outputs, index=["i", "j"]).to_pandas()

    assert list(table.columns) == ["a", "b", "c_0", "c_1", "d", "t"]
    assert list(table.index) == ["i", "j"]
    assert table["b"].tolist() == [3, 4] and table["c_1"].tolist() == [1, 3]
    assert table["t"].tolist() == ["x", b"\xff"]
    assert table["d"].iloc[0].shape == (2, 2)


def test_one_example_is_one_row():
    pytest.importorskip("pandas")
    outputs = stripped({"y": np.ones((1, 3)), "n": np.array([5])}, single=True)
    table = Result(outputs, single=True).to_pandas()

    assert table.to_dict("records") == [{"y_0": 1, "y_1": 1, "y_2": 1, "n": 5}]


def test_outputs_of_unequal_length_are_no_table():
    pytest.importorskip("pandas")
    with pytest.raises(InvalidInput, match="unequal"):
        Result({"a": np.ones(2), "b": np.ones(3)}).to_pandas()


def test_without_pandas_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingExtra, match="pandas"):
        RESULT.to_pandas()


def test_the_batch_axis_comes_off_where_there_is_one():
    outputs = stripped({"y": np.ones((1, 2)), "z": np.ones(3), "s": np.array(1)}, single=True)

    assert [a.shape for a in outputs.values()] == [(2,), (3,), ()]
    assert stripped({"y": np.ones((1, 2))}, single=False)["y"].shape == (1, 2)


@pytest.mark.parametrize(
    ("header", "stages"),
    [
        (None, {}), ("", {}), ("queue;dur=1.5, run;dur=20", {"queue": 0.0015, "run": 0.02}),
        ('cache;desc="Cache, Read";dur=23.2', {"cache": 0.0232}), ("miss, db;dur=53", {"db": 0.053}),
    ],
    ids=str,
)  # fmt: skip
def test_stages_are_read_in_seconds(header, stages):
    assert timings_of(header) == pytest.approx(stages)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_header_is_read(header):
    assert all(isinstance(v, float) for v in timings_of(header).values())
