"""The command line of the financial example where no server answers."""

import json
import socket

import pytest
from examples.financial_sentiment import client


@pytest.mark.parametrize("command", ["batch", "report"])
def test_where_no_server_answers_it_is_said_once(command, tmp_path, capsys):
    file = tmp_path / "news.jsonl"
    file.write_text("".join(json.dumps({"text": f"Profits rise {n}"}) + "\n" for n in range(50)))
    with socket.socket() as unheard:  # bound, and nobody listens
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"

        status = client.main(["--url", url, command, str(file)])

    printed = capsys.readouterr()
    assert status == 1
    assert printed.out == ""
    assert printed.err.count("is the server running?") == 1


def test_a_file_is_replaced_and_a_link_is_written_through(tmp_path):
    there, link = tmp_path / "there", tmp_path / "link"
    there.write_text("old")
    link.symlink_to(there)

    client._replace(link, "new")

    assert link.is_symlink()
    assert there.read_text() == "new"
    client._replace(there, "newer")
    assert there.read_text() == "newer"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "there"]


def test_a_label_of_the_owner_is_no_answer_of_ours():
    assert not client._analysed({"text": "Profit rose", "sentiment": "bullish"})
    assert client._analysed({"text": "Profit rose", "sentiment": "positive", "score": 0.9})
