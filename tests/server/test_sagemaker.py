"""The SageMaker container: its environment as settings, and a container as the platform starts it."""

import json
import signal
import time

import pytest
from tests.system import models
from tests.system.serving import Server, until

from inferd.cli.options import limit_rows
from inferd.config.load import load_settings
from inferd.core.errors import ConfigError
from inferd.repository.store import scan
from inferd.runtimes.detect import Detector
from inferd.server.sagemaker import PROFILE, VARIABLES, Container, markdown, read_container


def settings(environ=None, flags=None, file=None):
    return load_settings(
        environ={**(environ or {}), "INFERD_CONFIG": str(file or "")},
        flags={"server.sagemaker": True, **(flags or {})}, limits=limit_rows(), profile=PROFILE,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_container_listens_where_its_platform_looks():
    server = settings().server

    assert (server.host, server.port) == ("0.0.0.0", 8080)
    assert server.allow_anonymous
    assert server.admin_host == "127.0.0.1"
    assert server.grpc_port is None
    assert settings().requests.timeout == 60
    assert server.stop_timeout + 3 < 30


def test_without_the_flag_the_variables_mean_nothing():
    environ = {"SAGEMAKER_BIND_TO_PORT": "9999"}
    found = load_settings(environ=environ, limits=limit_rows(), profile=PROFILE)

    assert (found.server.host, found.server.port) == ("127.0.0.1", 8000)


@pytest.mark.parametrize(
    ("name", "text", "group", "field", "value"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "9001", "server", "port", 9001),
        ("SAGEMAKER_SAFE_PORT_RANGE", "9000-9999", "server", "admin_port", 9000),
        ("SAGEMAKER_SAFE_PORT_RANGE", "9000 - 9999", "server", "metrics_port", 9001),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "3", "workers", "instances", 3),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "90", "requests", "timeout", 90.0),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "45", "requests", "timeout", 45.0),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "10", "log", "level", "debug"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "WARN", "log", "level", "warning"),
    ],
    ids=lambda v: str(v)[-20:],
)
def test_variables_are_settings(name, text, group, field, value):
    assert getattr(getattr(settings({name: text}), group), field) == value


def test_one_size_is_the_limit_of_every_body():
    limits = settings({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "20"}).limits

    assert limits == {"json_body_bytes": 20 << 20, "binary_body_bytes": 20 << 20}


def test_the_variable_with_a_unit_wins():
    environ = {
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "45",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "90",
    }

    assert settings(environ).requests.timeout == 45


def test_they_rank_as_our_own_variables_and_below_flags(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("server: {port: 1}\nworkers: {instances: 7}\n")
    environ = {"SAGEMAKER_BIND_TO_PORT": "2"}

    assert settings(file=file).server.port == 1
    assert settings(environ, file=file).server.port == 2
    assert settings({**environ, "INFERD_PORT": "3"}, file=file).server.port == 3
    assert settings(environ, {"server.port": "4"}, file=file).server.port == 4
    assert settings(environ, file=file).workers.instances == 7


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "80a"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "9000"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "9000-9000"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "much"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_value_names_its_variable(name, text):
    with pytest.raises(ConfigError, match=f"environment: {name}: "):
        settings({name: text})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "json"),
        ("SAGEMAKER_PROGRAM", "../../inference.py"),
        ("SAGEMAKER_PROGRAM", "inference"),
        ("SAGEMAKER_STARTUP_TIMEOUT", "soon"),
        ("SAGEMAKER_ENABLE_STATEFUL_SESSIONS", "true"),
    ],
)
def test_so_does_one_that_is_no_setting(name, text):
    with pytest.raises(ConfigError, match=f"environment: {name}: "):
        read_container({name: text})


def test_what_the_environment_says_beside_settings(tmp_path):
    found = read_container(
        {
            "SAGEMAKER_BASE_DIR": str(tmp_path), "SAGEMAKER_MULTI_MODEL": "True",
            "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv", "SAGEMAKER_PROGRAM": "serve.py",
            "SAGEMAKER_INFERD_DEFAULT_MODEL_NAME": "iris", "SAGEMAKER_STARTUP_TIMEOUT": "300",
            "SAGEMAKER_REGION": "eu-west-1",
        }
    )  # fmt: skip

    assert found == Container(tmp_path, "text/csv", "iris", True, "serve.py", 300.0)
    assert found.models == tmp_path / "models"
    assert read_container({}) == Container()


def test_the_argument_of_the_platform_is_no_path(tmp_path):
    single, several = Container(tmp_path), Container(tmp_path, several=True)

    assert single.paths(["serve"]) == single.paths([]) == [str(tmp_path / "model")]
    assert single.paths(["other.onnx"]) == ["other.onnx"]
    assert several.paths(["serve"]) == []

    (tmp_path / "serve").mkdir()
    assert single.paths(["serve"]) == ["serve"]


def test_times_of_the_container_hold_where_the_model_does_not_say(tmp_path):
    code = tmp_path / "m" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text("")
    (spec,) = scan([tmp_path / "m"], Detector())
    (tmp_path / "m" / "model.yaml").write_text("run_timeout: 5s\nload_timeout: 6s\n")
    (said,) = scan([tmp_path / "m"], Detector())
    container = Container(startup=300.0)

    assert container.adapted(spec, 90.0).run_timeout == 90
    assert container.adapted(spec, 90.0).load_timeout == 300
    assert container.adapted(said, 90.0) == said


def test_the_table_of_the_document_has_every_variable():
    assert all(f"| `{variable.name}` |" in markdown() for variable in VARIABLES)


# ------------------------------------------------------------------------------- a real container

SCRIPT = """
import json

def model_fn(model_dir):
    with open(model_dir + "/weights.json") as file:
        return json.load(file)

def input_fn(body, content_type):
    assert content_type == "application/json", content_type
    return json.loads(body)

def predict_fn(data, model):
    return [value * model["by"] for value in data]

def output_fn(prediction, accept):
    return json.dumps({"times": prediction}), accept
"""


@pytest.fixture
def start(tmp_path):
    """Start a container as the platform does: ``docker run IMAGE serve``, models below one directory."""
    servers = []

    def started(base, *arguments, **environ):
        env = {"SAGEMAKER_BASE_DIR": str(base), **environ}
        # The tests' own ports, which a container does not have: many run on one machine.
        server = Server(tmp_path / "server", ["--sagemaker", *arguments, "serve"], env=env)
        servers.append(server)
        return server.wait_up()

    yield started
    for server in servers:
        server.kill()


def invoke(server, body, path="/invocations", **headers):
    names = {
        "Content-Type": "application/json",
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    return server.ask(path, method="POST", body=body, headers=names)


def test_a_container_with_a_model_file(start, tmp_path):
    (tmp_path / "ml" / "model").mkdir(parents=True)
    models.affine(tmp_path / "ml" / "model" / "model.onnx")
    server = start(tmp_path / "ml", SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv")

    ping = server.ask("/ping")
    answer = invoke(server, "[[1, 2, 3, 4]]", X_Amzn_SageMaker_Anything="ignored")
    asked = invoke(server, '{"instances": [[1, 2, 3, 4]]}', Accept="application/json")

    assert (ping.status, ping.body) == (200, b"")
    assert answer.body == b"3.0,5.0,7.0,9.0\n"
    assert asked.json == {"predictions": [[3, 5, 7, 9]]}
    assert server.ask("/models").status == 403


def test_a_container_with_a_script_and_its_end_within_the_budget(start, tmp_path):
    model = tmp_path / "ml" / "model"
    (model / "code").mkdir(parents=True)
    (model / "code" / "inference.py").write_text(SCRIPT)
    (model / "weights.json").write_text('{"by": 3}')
    (model / "model.joblib").write_bytes(b"whatever the script reads")
    server = start(tmp_path / "ml")

    answer = invoke(server, "[1, 2]")
    other = invoke(server, "", Content_Type="text/csv")
    begin = time.monotonic()
    server.send(signal.SIGTERM)

    assert answer.json == {"times": [3, 6]}
    assert other.status == 500 and "AssertionError" in other.json["error"]
    assert server.process.wait(30) == 0
    assert time.monotonic() - begin < 10


def test_a_container_takes_its_port_from_the_environment(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    (tmp_path / "ml" / "model").mkdir(parents=True)
    models.affine(tmp_path / "ml" / "model" / "model.onnx")
    env = {
        "SAGEMAKER_BASE_DIR": str(tmp_path / "ml"), "SAGEMAKER_BIND_TO_PORT": str(port),
        "INFERD_ADMIN_PORT": "0", "INFERD_STATE_DIR": str(tmp_path / "state"),
        "INFERD_SAGEMAKER": "true",
    }  # fmt: skip
    server = Bare(tmp_path / "server", ["serve"], env=env)
    try:
        server.wait_up()
        assert server.data[1] == port
        assert server.ask("/ping").status == 200
    finally:
        server.kill()


class Bare(Server):
    """A server that is given nothing but its arguments."""

    def __init__(self, folder, arguments, *, env):
        import subprocess

        from tests.system.serving import command, environment

        folder.mkdir()
        self.folder, self._out, self._log = folder, folder / "out.txt", folder / "log.txt"
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command("serve", *arguments), env=environment(**env), stdout=out, stderr=log,
                cwd=folder,
            )  # fmt: skip
        self.data = self.admin = None


def test_a_multi_model_container(start, tmp_path):
    base = tmp_path / "ml" / "models"
    for name, plus in (("a1b2", 1.0), ("c3d4", 2.0)):
        (base / name / "model").mkdir(parents=True)
        models.affine(base / name / "model" / "model.onnx", plus=plus)
    server = start(tmp_path / "ml", SAGEMAKER_MULTI_MODEL="true")

    def load(name, url=None):
        body = json.dumps({"model_name": name, "url": url or str(base / name / "model")})
        return invoke(server, body, "/models")

    assert server.ask("/ping").status == 200
    assert server.ask("/models").json == {"models": []}
    assert [load("a1b2").status, load("c3d4").status, load("c3d4").status] == [200, 200, 409]
    assert invoke(server, "[0, 0, 0, 0]", "/models/c3d4/invoke").json == [2, 2, 2, 2]
    assert server.ask("/models/a1b2").json == {
        "modelName": "a1b2", "modelUrl": str(base / "a1b2" / "model"),
    }  # fmt: skip
    assert invoke(server, "[0, 0, 0, 0]").status == 400
    assert load("x", str(tmp_path)).status == 400
    assert load("x", str(base / "none")).status == 404
    assert server.ask("/models/a1b2", method="DELETE").status == 200
    assert server.ask("/models/a1b2", method="DELETE").status == 404
    assert invoke(server, "[0, 0, 0, 0]", "/models/a1b2/invoke").status == 404
    assert invoke(server, "[0, 0, 0, 0]").json == [2, 2, 2, 2]
    assert [m["modelName"] for m in server.ask("/models").json["models"]] == ["c3d4"]
    until(lambda: len(server.processes()) == 2, 5)


def test_a_multi_model_container_takes_a_pipeline_alone_and_no_application(start, tmp_path):
    base = tmp_path / "ml" / "models"
    app = base / "app" / "model"
    (app / "part" / "1").mkdir(parents=True)
    models.affine(app / "part" / "1" / "model.onnx", plus=1.0)
    graph = "inputs: [x]\nsteps:\n  a: {model: part, inputs: {x: x}}\noutputs: {y: a.y}\n"
    (app / "pipeline.yaml").write_text(graph)
    (base / "alone" / "model").mkdir(parents=True)
    (base / "alone" / "model" / "pipeline.yaml").write_text(graph)
    server = start(tmp_path / "ml", SAGEMAKER_MULTI_MODEL="true")

    def load(name, path):
        return invoke(server, json.dumps({"model_name": name, "url": str(path)}), "/models")

    refused = load("app", app)
    assert refused.status == 400 and b"and models of its own (part)" in refused.body, refused.body
    early = load("flow", base / "alone" / "model")
    assert early.status == 400 and b"no model named 'part'" in early.body, early.body
    assert [
        load("part", app / "part" / "1").status,
        load("flow", base / "alone" / "model").status,
    ] == [200] * 2
    assert invoke(server, "[0, 0, 0, 0]", "/models/flow/invoke").json == [1, 1, 1, 1]
    assert server.ask("/models/part", method="DELETE").status == 200
    assert invoke(server, "[0, 0, 0, 0]", "/models/flow/invoke").status == 503
    assert load("part", app / "part" / "1").status == 200
    until(lambda: invoke(server, "[0, 0, 0, 0]", "/models/flow/invoke").status == 200, 5)
    assert server.ask("/models/flow", method="DELETE").status == 200
    assert [m["modelName"] for m in server.ask("/models").json["models"]] == ["part"]
