"""The layout of a request: identity is what counts."""

from inferd.execution.layout import Layout


def test_layouts_of_equal_values_are_not_the_same():
    left, right = Layout(1, (3,), 2, 8), Layout(1, (3,), 2, 8)

    assert left != right
    assert (left.rows, left.key, left.length, left.nbytes) == (1, (3,), 2, 8)


def test_each_layout_learns_headers_of_its_own():
    left, right = Layout(1, (), 1, 8), Layout(1, (), 1, 8)
    left.heads[1] = b"head"

    assert right.heads == {}
