import os

import pytest
import yaml
from tests.deploy.conftest import write_app

from inferd.cli.main import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_app(tmp_path / "app")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_part_can_be_started_and_tested_alone(here, capsys):
    assert main(["split", "app/pipeline.yaml", "--services", "first,second"]) == 0

    text = capsys.readouterr().out
    assert "services/ holds app as 3 services:" in text
    for line in (
        "first  (serves sums)",
        "inferd serve --config services/first/inferd.yaml",
        "inferd describe http://127.0.0.1:8102",
        "curl -sS http://127.0.0.1:8101/v2/models/sums/ready",
        "app  (serves app)",
    ):
        assert line in text
    assert sorted(os.listdir(here / "services")) == ["app", "deployment.yaml", "first", "second"]


def test_a_part_is_started_as_it_says(here):
    from tests.cli.conftest import Server

    assert main(["split", "app", "--services", "first", "--output", "parts"]) == 0
    free = ("--port", "0", "--admin-port", "0", "--grpc-port", "0")
    server = Server(["--config", str(here / "parts" / "first" / "inferd.yaml"), *free], here)
    try:
        server.wait()

        assert "sums  version 1" in server.banner
        assert "pairs" not in server.banner
        assert (here / "parts" / "first" / "state").is_dir()
    finally:
        server.stop()


def test_ports_begin_where_asked(here):
    assert main(["split", "app", "--services", "first", "--first-port", "9101"]) == 0

    found = yaml.safe_load((here / "services" / "first" / "inferd.yaml").read_text())
    assert found["server"]["port"] == 9101


def test_trust_is_part_of_the_command(here):
    from tests.deploy.test_split import planned

    from inferd.cli.split import summary
    from inferd.deploy.services import ports_of

    plan = planned(here / "app", "first")
    lines = "\n".join(summary(plan, ports_of(plan), here / "services", frozenset(["sums"])))

    assert "first/inferd.yaml --trust-pickle sums" in lines
    assert "app/inferd.yaml --trust-pickle" not in lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["app"], "--services"),
        (["app", "--services", "nope"], "no step of app"),
        (["app", "--services", "twice"], "leave it out; it stays with app"),
        (["app/sums", "--services", "sums"], "no pipeline to split"),
        (["app", "--services", "first", "--output", "app/x"], "lies inside app"),
        (["app", "--services", "first", "--first-port", "8000"], "meet those of"),
        (["nowhere", "--services", "first"], "nowhere"),
    ],
    ids=["none", "unknown", "python", "no-pipeline", "inside", "ports", "path"],
)
def test_a_wrong_call_is_exit_code_2_and_writes_nothing(here, capsys, arguments, message):
    assert main(["split", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "services").exists()


def test_a_directory_of_somebody_else_is_left_alone(here, capsys):
    (here / "services").mkdir()
    (here / "services" / "deployment.yaml").write_text("services: {}\n")

    assert main(["split", "app", "--services", "first"]) == 2
    assert "no deployment.yaml of ours" in capsys.readouterr().err
