"""How clients end: in words, with a status."""

import pytest
from examples.kit.command import status

from inferd.core.errors import Unavailable


def missing():
    with open("nowhere.jsonl") as file:
        return len(file.read())


def raising(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("work", "code", "said"),
    [
        (lambda: 3, 3, ""),
        (missing, 1, "nowhere.jsonl: No such file or directory\n"),
        (raising(Unavailable("it stops", help="wait")), 1, "it stops\nhelp: wait\n"),
        (raising(TimeoutError("too late")), 1, "too late\n"),
        (raising(KeyboardInterrupt()), 130, ""),
        (raising(EOFError()), 0, ""),
        (raising(BrokenPipeError()), 1, ""),
    ],
    ids=[
        "its own",
        "no file",
        "refused",
        "late",
        "interrupted",
        "nothing more typed",
        "nobody reads",
    ],
)
def test_what_ends_a_client(work, code, said, capsys):
    assert status(work) == code
    assert capsys.readouterr().err == said
