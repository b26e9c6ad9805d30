import ipaddress
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.deploy.test_quoting import NASTY

from inferd.core.errors import ConfigError
from inferd.deploy import compose
from inferd.deploy.compose import Service, Stack, addresses, compose_yaml, deployment, proxy_of
from inferd.deploy.dockerfile import HEALTH, STOP_TIMEOUT

USUAL = Stack("shop", (Service("shop", "shop:latest", HEALTH, context="./shop"),))
DETECT = Service("detect", "app-detect:latest", HEALTH, context="./detect", replicas=2)
READ = Service("read", "registry.example.org/read:1", HEALTH, replicas=1, memory="4g", cpus=0.5)
APP = Service(
    "app", "app:latest", HEALTH, context="./app", needs=("detect", "read"), asks=True,
    variables={"INFERD_LOG_LEVEL": "info", "PRICE": "$5"},
)  # fmt: skip
EVERYTHING = Stack(
    "app", (DETECT, READ, APP), address="0.0.0.0", port=8443, grpc_port=9001, redirect=8080,
    tls=("./cert.pem", "./key.pem"), server_name="models.example.org", subnet="10.9.8.0/24",
)  # fmt: skip
STACKS = pytest.mark.parametrize("stack", [USUAL, EVERYTHING], ids=["usual", "everything"])


def read(stack):
    return yaml.safe_load(compose_yaml(stack))


def test_the_usual_file(snapshot):
    snapshot("compose.yaml", compose_yaml(USUAL))


def test_a_file_with_everything(snapshot):
    snapshot("compose.everything.yaml", compose_yaml(EVERYTHING))
    snapshot(
        "deployment.yaml", deployment(EVERYTHING, {"detect": ("text-detect",), "read": ("r",)})
    )


@STACKS
def test_compose_itself_takes_it(stack, tmp_path):
    (tmp_path / "compose.yaml").write_text(compose_yaml(stack))
    done = subprocess.run(
        [Path(sys.executable).with_name("docker-compose"), "-f", tmp_path / "compose.yaml",
         "config", "--format", "json"],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)["services"]
    assert set(found) == set(read(stack)["services"])
    for name, service in found.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True
    if stack is EVERYTHING:
        assert found["app-1"]["environment"]["PRICE"] == "$$5"  # written for Compose to read again


@STACKS
def test_every_container_is_hardened_and_bounded(stack):
    for name, service in read(stack)["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert int(service["user"].partition(":")[0]) > 0
        assert service["mem_limit"]
        assert service["pids_limit"]
        assert service["logging"]["options"]["max-size"]
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
        assert int(service["stop_grace_period"].rstrip("s")) > STOP_TIMEOUT


@STACKS
def test_nginx_is_the_only_way_in(stack):
    services = read(stack)["services"]

    assert [name for name, s in services.items() if "ports" in s] == ["nginx"]
    assert [name for name, s in services.items() if "outer" in s["networks"]] == ["nginx"]
    assert read(stack)["networks"]["inner"]["internal"] is True
    assert {p["host_ip"] for p in services["nginx"]["ports"]} == {stack.address}


@STACKS
def test_each_starts_when_what_it_needs_is_healthy(stack):
    services = read(stack)["services"]
    front = stack.front.names

    assert set(services["nginx"]["depends_on"]) == set(front)
    inner = {name for service in stack.services[:-1] for name in service.names}
    for name in front:
        assert set(services[name].get("depends_on", {})) == inner
    for name in inner:
        assert "depends_on" not in services[name]


@STACKS
def test_addresses_stay_where_they_are(stack):
    services = read(stack)["services"]
    network = ipaddress.ip_network(read(stack)["networks"]["inner"]["ipam"]["config"][0]["subnet"])
    fixed = {
        name: s["networks"]["inner"]["ipv4_address"]
        for name, s in services.items() if name != "nginx"
    }  # fmt: skip

    assert fixed == addresses(stack)
    assert len(set(fixed.values())) == len(fixed)
    assert all(ipaddress.ip_address(a) in network for a in fixed.values())
    assert services["nginx"]["extra_hosts"] == [f"{n}:{fixed[n]}" for n in stack.front.names]


def test_ports_are_published_as_asked():
    def ports(stack):
        return {p["target"]: p["published"] for p in read(stack)["services"]["nginx"]["ports"]}

    assert ports(USUAL) == {8080: "80", 8001: "8001"}
    assert ports(EVERYTHING) == {8443: "8443", 8080: "8080", 8001: "9001"}
    assert ports(replace(EVERYTHING, redirect=None, grpc=False)) == {8443: "8443"}


def test_only_the_front_is_told_whom_to_ask():
    services = read(EVERYTHING)["services"]

    assert [n for n, s in services.items() if "INFERD_DEPLOYMENT" in s.get("environment", {})] == [
        "app-1", "app-2",
    ]  # fmt: skip
    [mount] = services["app-1"]["volumes"]
    assert (mount["source"], mount["read_only"]) == ("./deployment.yaml", True)


def test_a_service_with_an_image_is_not_built():
    services = read(EVERYTHING)["services"]

    assert "build" not in services["read-1"]
    assert services["detect-1"]["build"] == {"context": "./detect"}
    assert "build" not in services["detect-2"]


def test_the_deployment_names_every_replica_of_each_model():
    found = yaml.safe_load(deployment(EVERYTHING, {"detect": ("b", "a"), "read": ("c",)}))

    assert list(found["services"]) == ["a", "b", "c"]
    assert found["services"]["a"] == {"url": ["http://detect-1:8000", "http://detect-2:8000"]}


def test_who_takes_sound_is_asked_over_grpc_where_that_is_spoken():
    models = {"detect": ("b", "a"), "read": ("c",)}

    found = yaml.safe_load(deployment(EVERYTHING, models, {"a"}))["services"]
    without = yaml.safe_load(deployment(replace(EVERYTHING, grpc=False), models, {"a"}))["services"]

    assert found["a"] == {"url": ["grpc://detect-1:8001", "grpc://detect-2:8001"]}
    assert (
        found["b"]["url"] == without["a"]["url"] == ["http://detect-1:8000", "http://detect-2:8000"]
    )


def test_nginx_is_told_the_same():
    proxy = proxy_of(EVERYTHING)

    assert proxy.replicas == ("app-1", "app-2")
    assert (proxy.tls, proxy.redirect, proxy.public_port) == (True, True, 8443)


def test_stacks_of_other_names_have_other_networks():
    names = ["a", "b", "shop", "app"]

    assert len({compose.subnet(replace(USUAL, name=name)) for name in names}) == len(names)
    assert all(
        ipaddress.ip_network(compose.subnet(replace(USUAL, name=n))).is_private for n in names
    )


@pytest.mark.parametrize("subnet", ["x", "8.8.8.0/24", "10.0.0.0/30", "10.0.0.1/24", "::1/64"])
def test_a_network_that_cannot_be_is_refused(subnet):
    with pytest.raises(ConfigError, match="--subnet"):
        compose_yaml(replace(USUAL, subnet=subnet))


def test_two_of_one_name_are_refused():
    services = (replace(READ, name="a", replicas=1), replace(READ, name="a", replicas=1))

    with pytest.raises(ConfigError, match="named a-1"):
        compose_yaml(replace(USUAL, services=services))


def test_more_than_one_machine_holds_is_refused():
    with pytest.raises(ConfigError, match="201 replicas"):
        compose_yaml(replace(USUAL, services=(replace(READ, replicas=201),)))


@pytest.mark.parametrize("nasty", NASTY, ids=[f"{i}" for i in range(len(NASTY))])
def test_no_word_of_a_user_becomes_yaml_or_a_variable(nasty):
    service = replace(USUAL.front, image=nasty, variables={"A": nasty}, context=f"./{nasty}")
    found = read(replace(USUAL, services=(service,), tls=(nasty, "./key.pem")))["services"]

    written = nasty.replace("$", "$$")
    assert set(found) == {"shop-1", "shop-2", "nginx"}
    assert found["shop-1"]["image"] == written
    assert found["shop-1"]["environment"] == {"A": written}
    assert found["shop-1"]["build"]["context"] == f"./{written}"
    assert found["nginx"]["volumes"][1]["source"] == written
