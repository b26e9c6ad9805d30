import pytest
from tests.routing.pipeline.written import function, model

from inferd.core.plan import BatchPlan


@pytest.mark.parametrize(
    ("callee", "splits"),
    [
        (model("x: float32 -1", "y: float32 4"), False),
        (model("x: float32 -1", "y: float32 -1"), True),
        (model("x: float32 -1", "y: float32 -1", plan=BatchPlan()), False),
        (model("x: float32 -1", "y: float32 4", plan=BatchPlan(split=True)), True),
        (model("x: float32 -1", "y: float32 4", ragged=True), True),
        (function("x: float32", "y: float32 4"), False),
    ],
    ids=["fixed", "free", "its plan says no", "its plan says yes", "ragged", "function"],
)
def test_whether_rows_may_be_answered_in_unequal_shapes(callee, splits):
    assert callee.splits is splits
