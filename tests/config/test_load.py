from pathlib import Path

import pytest

from inferd.config.load import Profile, Told, check, load_settings, state_directory
from inferd.config.settings import Row, Server, Settings
from inferd.core.errors import ConfigError

LIMITS = (Row("limits.header_bytes", "size", 16384, "Request line and headers", least=1),)


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "inferd.yaml"
        path.write_text(text)
        return path

    return write


def test_without_anything_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert load_settings(environ={"PATH": "/bin"}) == Settings()


def test_a_later_place_wins(write):
    file = write("server: {port: 1001, admin_port: 1002, drain_delay: 3s}\nlog: {level: debug}\n")
    environ = {"INFERD_PORT": "2001", "INFERD_ADMIN_PORT": "2002"}

    settings = load_settings(file=file, environ=environ, flags={"server.port": "3001"})

    assert settings.server.port == 3001
    assert settings.server.admin_port == 2002
    assert settings.server.drain_delay == 3.0
    assert settings.log.level == "debug"
    assert settings.file == file


def test_the_file_is_found_by_variable_or_by_name(write, tmp_path, monkeypatch):
    file = write("server: {port: 1001}")
    monkeypatch.chdir(tmp_path)

    assert load_settings(environ={}).server.port == 1001

    monkeypatch.chdir("/")

    assert load_settings(environ={}).server.port == 8000
    assert load_settings(environ={"INFERD_CONFIG": str(file)}).server.port == 1001


def test_paths_in_the_file_start_from_its_directory(write, tmp_path):
    file = write("models: [iris.onnx, 'net:Net']\nserver: {state_dir: state}\n")
    settings = load_settings(file=file, environ={})

    assert settings.models == (str(tmp_path / "iris.onnx"), "net:Net")
    assert settings.server.state_dir == tmp_path / "state"


def test_limits_are_checked_against_the_rows_given(write):
    file = write("limits: {header_bytes: 8KiB}")

    assert load_settings(file=file, environ={}, limits=LIMITS).limits == {"header_bytes": 8192}


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("sever: {}", "inferd.yaml:1: sever: unknown key", "did you mean 'server'?"),
        ("server:\n  prot: 1", "inferd.yaml:2: server.prot: unknown key", "did you mean 'port'?"),
        ("server:\n  port: http", "inferd.yaml:2: server.port: 'http' is not a whole", "Port of"),
        ("server: 3", "inferd.yaml:1: server: must be a mapping", None),
        ("limits: {headerbytes: 1}", "limits.headerbytes: unknown key", "header_bytes"),
        ("limits: {header_bytes: 0}", "limits.header_bytes: 0 is below the least", "Request line"),
        ("- a", "must be a mapping", None),
        ("server: {port: 1, port: 2}", "port: given twice", None),
        ("server: [", "not valid YAML", None),
        ("models: 3", "models: 3 is not a list", None),
        ("models: " + "[" * 3000, "inferd.yaml: is nested too deeply", None),
        ('server: {"a\\e[31m": 1}', "inferd.yaml:1: server.a\\x1b[31m: unknown key", "allowed"),
    ],
    ids=[
        "group",
        "key",
        "value",
        "scalar",
        "limit",
        "limit value",
        "list",
        "twice",
        "yaml",
        "models",
        "deep",
        "control characters",
    ],
)
def test_a_mistake_in_the_file_names_its_place(write, text, message, help):
    with pytest.raises(ConfigError) as refused:
        load_settings(file=write(text), environ={}, limits=LIMITS)

    assert message in refused.value.message
    assert help is None or help in refused.value.help


def test_a_mistake_in_the_file_counts_even_where_a_flag_overrides_it(write):
    with pytest.raises(ConfigError, match="server.port"):
        load_settings(file=write("server: {port: x}"), environ={}, flags={"server.port": "1"})


def test_a_file_that_is_named_must_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing.yaml: cannot be read"):
        load_settings(file=tmp_path / "nothing.yaml", environ={})


def test_an_empty_file_and_empty_groups_are_fine(write):
    assert load_settings(file=write("# nothing\n"), environ={}).server == Server()
    assert load_settings(file=write("server:\n"), environ={}).server == Server()


@pytest.mark.parametrize(
    ("name", "text", "message", "help"),
    [
        ("INFERD_PROT", "1", "INFERD_PROT is no setting", "INFERD_PORT"),
        ("INFERD_PORT", "http", "INFERD_PORT: 'http' is not a whole", "Port"),
        ("INFERD_RELOAD", "perhaps", "not true or false", "reload"),
    ],
    ids=["unknown", "value", "bool"],
)
def test_a_mistake_in_the_environment_names_the_variable(
    tmp_path, monkeypatch, name, text, message, help
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        load_settings(environ={name: text})

    assert message in refused.value.message
    assert help in refused.value.help


@pytest.mark.parametrize("place", ["file", "working-directory", "environment"])
def test_trust_is_given_by_a_flag_only(write, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    given = {"environ": {}}
    if place == "environment":
        given["environ"] = {"INFERD_TRUST_PICKLE": "m"}
    else:
        file = write("workers:\n  trust_pickle: [m]")
        given["file"] = file if place == "file" else None
    with pytest.raises(ConfigError, match="is given on the command line only") as refused:
        load_settings(**given)

    told = {"environment": "environment: INFERD_TRUST_PICKLE: "}
    assert told.get(place, "inferd.yaml:2: workers.trust_pickle: ") in refused.value.message
    assert "--trust-pickle" in refused.value.help
    (tmp_path / "inferd.yaml").unlink(missing_ok=True)
    flags = {"workers.trust_pickle": ["m"]}
    assert load_settings(environ={}, flags=flags).workers.trust_pickle == ("m",)


def test_an_empty_variable_is_as_good_as_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert load_settings(environ={"INFERD_PORT": "", "INFERD_CONFIG": ""}) == Settings()


def test_what_kubernetes_injects_for_a_service_of_our_name_is_no_setting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environ = {
        "INFERD_SERVICE_HOST": "10.0.0.1",
        "INFERD_SERVICE_PORT": "8000",
        "INFERD_PORT": "tcp://10.0.0.1:8000",
        "INFERD_PORT_8000_TCP_ADDR": "10.0.0.1",
    }

    assert load_settings(environ=environ) == Settings()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"server.port": "x"}, "--port: 'x'"),
        ({"server.prot": "1"}, "'server.prot' is no setting"),
        ({"server.tls_cert": "a.pem"}, "--tls-cert is given without --tls-key"),
        ({"server.tls_key": "a.pem"}, "--tls-key is given without --tls-cert"),
        ({"server.port": "9000", "server.admin_port": "9000"}, "port 9000 is given to"),
        (
            {"server.admin_port": "9000", "server.grpc_port": "9000"},
            "the control plane and to gRPC",
        ),
        ({"server.drain_delay": "30s"}, "is shorter than drain_delay"),
        ({"server.host": "0.0.0.0"}, "--host 0.0.0.0 can be reached"),
        ({"server.admin_host": "::"}, "--admin-host :: can be reached"),
    ],
    ids=["value", "unknown", "cert", "key", "ports", "gRPC", "drain", "host", "admin"],
)
def test_flags_that_are_wrong_or_contradict_each_other(tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        load_settings(environ={}, flags=flags)

    assert message in refused.value.message


@pytest.mark.parametrize(
    "server",
    [
        Server(host="0.0.0.0", allow_anonymous=True),
        Server(metrics_host="0.0.0.0"),
        Server(port=0, admin_port=0, grpc_port=0),
        Server(port=8001, grpc_port=None),
        Server(drain_delay=0, stop_timeout=0),
    ],
    ids=["said so", "metrics alone", "free ports", "no gRPC", "no drain"],
)
def test_what_is_allowed(server):
    check(Settings(server=server))


@pytest.mark.parametrize(
    ("home", "directory"),
    [
        ("/var/x", Path("/var/x/inferd")),
        ("relative", Path.home() / ".local/state/inferd"),
        ("", Path.home() / ".local/state/inferd"),
    ],
    ids=["set", "relative", "unset"],
)
def test_state_lies_under_the_users_state_home(home, directory):
    assert state_directory(Settings(), {"XDG_STATE_HOME": home}) == directory


def test_state_lies_where_it_was_told_to():
    settings = Settings(server=Server(state_dir=Path("/srv/state")))

    assert state_directory(settings, {}) == Path("/srv/state")


def profiled(environ=None, flags=None, file=None):
    def read(given):
        return (
            {"server.port": Told(given["OTHER_PORT"], "OTHER_PORT")}
            if "OTHER_PORT" in given
            else {}
        )

    profile = Profile("server.reload", {"server.port": 7000, "requests.timeout": 60.0}, read)
    return load_settings(file=file, environ=environ or {}, flags=flags, profile=profile)


ON = {"server.reload": True}


def test_another_environment_is_heeded_where_it_is_asked_for(write):
    file = write("server: {port: 7001, reload: true}")
    environ = {"OTHER_PORT": "7002"}

    assert profiled(environ).server.port == 8000
    assert profiled(flags=ON).server.port == 7000
    assert profiled(flags=ON).requests.timeout == 60
    assert profiled(file=file).server.port == 7001
    assert profiled(environ, ON).server.port == 7002
    assert profiled(environ, file=file).server.port == 7002
    assert profiled({**environ, "INFERD_PORT": "7003"}, ON).server.port == 7003
    assert profiled(environ, {**ON, "server.port": "7004"}).server.port == 7004
    assert profiled({**environ, "INFERD_RELOAD": "yes"}).server.port == 7002


def test_a_wrong_value_of_another_environment_names_its_variable():
    with pytest.raises(ConfigError, match="environment: OTHER_PORT: 'x' is not a whole number"):
        profiled({"OTHER_PORT": "x"}, ON)


@pytest.mark.parametrize("written", ["off", '"off"', "none", "null", "false", "OFF"])
def test_grpc_may_be_off(tmp_path, monkeypatch, written):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inferd.yaml").write_text(f"server: {{grpc_port: {written}}}\n")

    assert load_settings(environ={}).server.grpc_port is None


def test_grpc_may_be_off_by_flag_and_variable_and_zero_is_a_port(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert load_settings(environ={}, flags={"server.grpc_port": "off"}).server.grpc_port is None
    assert load_settings(environ={"INFERD_GRPC_PORT": "off"}).server.grpc_port is None
    assert load_settings(environ={}, flags={"server.grpc_port": "0"}).server.grpc_port == 0
    assert load_settings(environ={}).server.grpc_port == 8001
    with pytest.raises(ConfigError, match="--grpc-port"):
        load_settings(environ={}, flags={"server.grpc_port": "high"})
