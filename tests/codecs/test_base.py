import numpy as np
import pytest

from inferd.codecs.base import MAX_ROWS, Decoded, split_rows
from inferd.core.errors import TooLarge


def test_a_decoded_request_asks_for_everything_unless_it_says_so():
    decoded = Decoded({})

    assert (decoded.rows, decoded.single, decoded.outputs, decoded.id) == (None, False, None, None)
    assert decoded.parameters == {}
    assert decoded.parameters is not Decoded({}).parameters


def test_rows_keep_their_batch_axis():
    rows = split_rows({"x": np.array([[1, 2], [3, 4]])}, 2)

    assert [row["x"].tolist() for row in rows] == [[[1, 2]], [[3, 4]]]


def test_rows_that_run_one_by_one_are_bounded():
    with pytest.raises(TooLarge, match=f"{MAX_ROWS + 1} examples"):
        split_rows({"x": np.zeros(MAX_ROWS + 1)}, MAX_ROWS + 1)
