import pytest
import yaml
from tests.deploy.conftest import write_app

from inferd.cli.compose import each
from inferd.cli.main import main
from inferd.core.errors import ConfigError

WHEEL = ("--wheel", "inferd-0.1.0-py3-none-any.whl")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with an application, and a file that stands for the wheel."""
    write_app(tmp_path / "app")
    (tmp_path / "inferd-0.1.0-py3-none-any.whl").write_bytes(b"wheel")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def services(here):
    return yaml.safe_load((here / "compose" / "compose.yaml").read_text())["services"]


def test_a_path_becomes_one_service_behind_nginx(here, capsys):
    assert main(["compose", "app", *WHEEL]) == 0

    assert set(services(here)) == {"app-1", "app-2", "nginx"}
    assert (here / "compose" / "nginx.conf").is_file()
    assert (here / "compose" / "app" / "models" / "sums" / "1" / "sums.onnx").is_file()
    assert not (here / "compose" / "deployment.yaml").exists()
    text = capsys.readouterr().out
    assert "docker compose -f compose/compose.yaml up --build --detach --wait" in text
    assert "curl -sS http://127.0.0.1/v2/models" in text
    assert "for name in app-1 app-2; do docker compose" in text
    assert "whoever reaches" not in text


def test_parts_of_a_pipeline_become_services(here):
    options = ("--services", "first,second", "--replicas", "1,second=3", "--memory", "second=4G")

    assert main(["compose", "app", *WHEEL, *options, "--cpus", "0.5"]) == 0

    found = services(here)
    assert set(found) == {"first-1", "second-1", "second-2", "second-3", "app-1", "nginx"}
    assert found["second-3"]["mem_limit"] == "4g"
    assert found["first-1"]["mem_limit"] == "2g"
    assert found["app-1"]["cpus"] == 0.5
    deployment = yaml.safe_load((here / "compose" / "deployment.yaml").read_text())
    assert deployment["services"]["sums"] == {"url": ["http://first-1:8000"]}
    assert sorted(p.name for p in (here / "compose" / "app" / "models").iterdir()) == ["app"]
    assert sorted(p.name for p in (here / "compose" / "first" / "models").iterdir()) == ["sums"]


def test_written_twice_it_is_the_same(here):
    def tree():
        return {p: p.read_bytes() for p in (here / "compose").rglob("*") if p.is_file()}

    main(["compose", "app", *WHEEL, "--services", "first"])
    before = tree()

    assert main(["compose", "app", *WHEEL, "--services", "first"]) == 0
    assert tree() == before


def test_tls_ends_at_nginx(here, capsys):
    for name in ("cert.pem", "key.pem"):
        (here / name).write_text("pem")

    assert (
        main(["compose", "app", *WHEEL, "--tls", "cert.pem,key.pem", "--address", "0.0.0.0"]) == 0
    )

    nginx = services(here)["nginx"]
    assert [p["published"] for p in nginx["ports"]] == ["443", "80", "8001"]
    assert [v["source"] for v in nginx["volumes"][1:]] == ["./../cert.pem", "./../key.pem"]
    text = capsys.readouterr().out
    assert "curl -sS https://127.0.0.1/v2/models" in text
    assert "whoever reaches this machine may ask" in text
    assert "must be readable" not in text


def test_a_key_that_nginx_cannot_read_is_remarked(here, capsys):
    for name in ("cert.pem", "key.pem"):
        (here / name).write_text("pem")
    (here / "key.pem").chmod(0o600)

    assert main(["compose", "app", *WHEEL, "--tls", "cert.pem,key.pem"]) == 0
    assert "key.pem must be readable by the user 101" in capsys.readouterr().out


def test_an_image_and_variables_may_be_given(here):
    options = ("--image", "app=registry.example.org/app:1", "--env", "INFERD_LOG_LEVEL=debug")

    assert main(["compose", "app", *WHEEL, *options]) == 0

    assert services(here)["app-1"]["image"] == "registry.example.org/app:1"
    assert services(here)["app-1"]["environment"] == {"INFERD_LOG_LEVEL": "debug"}
    assert not (here / "compose" / "app").exists()


def test_inferds_own_wheel_is_made_once_for_all(here, monkeypatch):
    from inferd.deploy import wheel

    made = []

    def make(folder):
        made.append(folder)
        (folder / "inferd-0.1.0-py3-none-any.whl").write_bytes(b"made")
        return folder / "inferd-0.1.0-py3-none-any.whl"

    monkeypatch.setattr(wheel, "make_wheel", make)

    assert main(["compose", "app", "--services", "first,second"]) == 0
    assert len(made) == 1
    assert (here / "compose" / "first" / WHEEL[1]).read_bytes() == b"made"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--replicas", "0"], "--replicas: '0' is not a number from 1 to 100"),
        (["--replicas", "apq=2"], "--replicas apq=2: no service 'apq'"),
        (["--memory", "lots"], "--memory"),
        (["--cpus", "nan"], "--cpus"),
        (["--image", "app=a b"], "--image"),
        (["--env", "A"], "--env A: must be NAME=VALUE"),
        (["--env", "A B=1"], "--env"),
        (["--env", "A=x\ny"], "control characters"),
        (["--address", "everywhere"], "--address"),
        (["--tls", "cert.pem"], "--tls: must be CERT,KEY"),
        (["--tls", "cert.pem,key.pem"], "no such file"),
        (["--server-name", "a;b"], "--server-name"),
        (["--request-timeout", "soon"], "--request-timeout"),
        (["--port", "8001"], "one port twice"),
        (["--nginx-image", "a;b"], "--nginx-image"),
        (["--subnet", "x"], "--subnet"),
        (["--services", "twice"], "is a Python function"),
        (["--output", "app/out"], "lies inside app"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_a_wrong_call_is_exit_code_2_and_writes_nothing(here, capsys, arguments, message):
    assert main(["compose", "app", *WHEEL, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "compose").exists()


def test_a_value_is_for_all_or_for_one():
    assert each(("3", "b=1"), "--x", ["a", "b"], 2, lambda text, flag: int(text)) == {
        "a": 3,
        "b": 1,
    }
    assert each((), "--x", ["a"], 2, lambda text, flag: int(text)) == {"a": 2}
    with pytest.raises(ConfigError):
        each(("c=1",), "--x", ["a"], 2, lambda text, flag: int(text))
