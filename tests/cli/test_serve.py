import json
import re
import signal
import socket
import subprocess
import sys

import pytest
from tests.cli.conftest import serving

from inferd.cli.main import main


def test_it_prints_what_is_served_and_a_call_that_works_when_pasted(server):
    assert re.match(
        r"sums  version 1  \(.+\)\n  x float32\[\?, 4\] -> y float32\[\?, 2\]", server.banner
    )

    line = next(line for line in server.banner.splitlines() if "curl" in line)
    done = subprocess.run(line, shell=True, capture_output=True, timeout=30, check=True)

    assert json.loads(done.stdout) == {"result": [2.0, 20.0]}


def test_the_control_plane_is_where_it_says(server):
    done = subprocess.run(
        ["curl", "-sS", f"{server.admin_url}/metrics"], capture_output=True, timeout=30, check=True
    )

    assert b'inferd_model_ready{model="sums",version="1"} 1.0' in done.stdout


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_signal_stops_it_with_exit_code_0(model, tmp_path, how):
    with serving(tmp_path, model, "--drain-delay", "0") as server:
        assert server.stop(how) == 0
        assert "Traceback" not in server.log
        assert "error" not in server.log


def test_settings_come_from_the_file_and_paths_too(model, tmp_path):
    (tmp_path / "inferd.yaml").write_text(
        f"models: ['{model}']\nlog: {{format: text, access: false}}\nserver: {{drain_delay: 0}}\n"
    )
    with serving(tmp_path) as server:
        subprocess.run(["curl", "-sS", f"{server.url}/healthz"], capture_output=True, check=True)

        assert server.stop() == 0
        assert "model is ready model=sums" in server.log
        assert "/healthz" not in server.log


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.onnx"], 1, "missing.onnx"),
        (["{model}", "--host", "0.0.0.0"], 2, "--allow-anonymous"),
        (["{model}", "--tls-cert", "a.pem"], 2, "without --tls-key"),
        (["{model}", "--config", "missing.yaml"], 2, "missing.yaml: cannot be read"),
        (["{model}", "--port", "{taken}"], 1, "{taken}"),
    ],
    ids=["no file", "everybody", "half a certificate", "no settings", "port taken"],
)
def test_what_cannot_be_served_is_refused_in_one_message(
    model, tmp_path, monkeypatch, arguments, code, message
):
    with socket.create_server(("127.0.0.1", 0)) as other:
        names = {"{model}": str(model), "{taken}": str(other.getsockname()[1])}
        arguments = [names.get(a, a) for a in arguments]
        done = subprocess.run(
            [sys.executable, "-m", "inferd", "serve", *arguments, "--admin-port", "0",
             "--grpc-port", "0", "--state-dir", str(tmp_path / "state")],
            capture_output=True, text=True, timeout=50, check=False, cwd=tmp_path,
        )  # fmt: skip

    assert done.returncode in {code, 2}
    assert names.get(message, message) in done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_unknown_variable_is_refused(model, monkeypatch, capsys):
    monkeypatch.setenv("INFERD_PROT", "1")

    assert main(["serve", str(model)]) == 2
    assert "INFERD_PROT is no setting" in capsys.readouterr().err
