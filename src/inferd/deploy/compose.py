"""``compose.yaml``: replicas of services, and NGINX as the only door to them.

Each replica is a service of its own (``detect-1``, ``detect-2``) with a fixed address: one may then be
restarted while the others serve, NGINX finds it again where it was, and the file works with every
version of NGINX and Compose. Replicas lie on an internal network: nothing reaches them but NGINX and
each other, and they reach nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from inferd.core.errors import ConfigError
from inferd.deploy import nginx
from inferd.deploy.dockerfile import (
    GRACE,
    HEADER,
    HEALTH_INTERVAL,
    HEALTH_START,
    HEALTH_TIMEOUT,
    USER,
)  # fmt: skip
from inferd.deploy.nginx import CALLS, CERT, KEY, PLAIN, SECURE, Proxy
from inferd.deploy.plan import GRPC_PORT, HTTP_PORT
from inferd.deploy.quoting import interpolated, to_yaml

NGINX_IMAGE = "nginx:1.28-alpine"
NGINX_USER = 101
DEPLOYMENT = "/etc/inferd/deployment.yaml"
_FIRST = 10
_MOST = 200

_HARDENED: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "init": True,
    "restart": "unless-stopped",
    "stop_grace_period": f"{GRACE}s",
    "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
}


@dataclass(frozen=True, slots=True)
class Service:
    """One service: its name, image, and how many replicas of which size.

    ``context``: the directory it is built from, ``None`` where it is not. ``needs``: services that must
    be healthy first. ``asks``: it is given the deployment file. ``health``: command of its check.
    """

    name: str
    image: str
    health: tuple[str, ...]
    replicas: int = 2
    context: str | None = None
    needs: tuple[str, ...] = ()
    asks: bool = False
    memory: str = "2g"
    cpus: float = 1.0
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the replicas, which are their host names too."""
        return tuple(f"{self.name}-{number}" for number in range(1, self.replicas + 1))


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything in one ``compose.yaml``. The last service is the one behind NGINX.

    ``address``: of this machine where ports are published. ``port``: of HTTP, or of HTTPS where ``tls``
    names certificate and key; ``redirect``: then of plain HTTP, ``None`` for none.
    """

    name: str
    services: tuple[Service, ...]
    grpc: bool = True
    address: str = "127.0.0.1"
    port: int = 80
    grpc_port: int = 8001
    tls: tuple[str, str] | None = None
    redirect: int | None = None
    server_name: str = "_"
    timeout: int = 300
    nginx_image: str = NGINX_IMAGE
    subnet: str | None = None

    @property
    def front(self) -> Service:
        """The service that NGINX stands before."""
        return self.services[-1]


def proxy_of(stack: Stack) -> Proxy:
    """Return what NGINX is told of a stack."""
    return Proxy(
        stack.front.names, grpc=stack.grpc, tls=stack.tls is not None,
        redirect=stack.redirect is not None, public_port=stack.port, server_name=stack.server_name,
        timeout=stack.timeout,
    )  # fmt: skip


def deployment(
    stack: Stack, models: Mapping[str, tuple[str, ...]], by_grpc: Collection[str] = ()
) -> str:
    """Return the deployment file: for each model of a service, the addresses of its replicas.

    ``models``: the names of the models in each service but the front; ``by_grpc``: those asked over gRPC,
    where the services speak it.
    """

    def address(model: str, name: str) -> str:
        if stack.grpc and model in by_grpc:
            return f"grpc://{name}:{GRPC_PORT}"
        return f"http://{name}:{HTTP_PORT}"

    found = {
        model: {"url": [address(model, name) for name in service.names]}
        for service in stack.services
        for model in models.get(service.name, ())
    }
    return HEADER.format(command="compose") + to_yaml({"services": dict(sorted(found.items()))})


def compose_yaml(stack: Stack) -> str:
    """Return the whole file. Raises ``ConfigError`` for a stack that cannot be."""
    places = addresses(stack)
    parts = [HEADER.format(command="compose"), to_yaml({"name": stack.name}), "\n"]
    for service in stack.services:
        # The names are slugs, so they stand bare.
        parts += [f"x-{service.name}: &{service.name}\n", _yaml(_service(service), 2), "\n"]
    parts.append("services:\n")
    waits = _conditions(stack)
    for service in stack.services:
        for name in service.names:
            rest: dict[str, Any] = {}
            if service.context is not None and name == service.names[0]:
                rest["build"] = {"context": service.context}  # once: all replicas run its image
            rest["networks"] = {"inner": {"ipv4_address": places[name]}}
            if waits[service.name]:
                rest["depends_on"] = waits[service.name]
            parts += [f"  {name}:\n    <<: *{service.name}\n", _yaml(rest, 4), "\n"]
    parts += ["  nginx:\n", _yaml(_nginx(stack, places), 4), "\n", _yaml(_networks(stack), 0)]
    return "".join(parts)


def addresses(stack: Stack) -> dict[str, str]:
    """Return the address of each replica. Raises ``ConfigError`` for too many or doubled names."""
    names = [name for service in stack.services for name in service.names]
    doubled = sorted({n for n in names if names.count(n) > 1 or n == "nginx"})
    if doubled:
        raise ConfigError(f"two services would be named {doubled[0]}", help="rename one")
    if len(names) > _MOST:
        raise ConfigError(f"{len(names)} replicas are over {_MOST}, the most for one machine")
    network = ipaddress.IPv4Network(subnet(stack))
    return {name: str(network[_FIRST + number]) for number, name in enumerate(names)}


def subnet(stack: Stack) -> str:
    """Return the addresses of the inner network: as given, else made of the stack's name."""
    if stack.subnet is None:
        digest = hashlib.sha256(stack.name.encode()).digest()
        return f"10.{64 + digest[0] % 128}.{digest[1]}.0/24"
    try:
        network = ipaddress.IPv4Network(stack.subnet)
    except ValueError as error:
        raise ConfigError(f"--subnet: {error}", help="for example 10.90.1.0/24") from None
    if network.prefixlen > 24 or not network.is_private:
        raise ConfigError(f"--subnet {stack.subnet}: must be private and a /24 or larger")
    return str(network)


def _yaml(value: Any, indent: int) -> str:
    return to_yaml(interpolated(value), indent)


def _conditions(stack: Stack) -> dict[str, dict[str, Any]]:
    named = {service.name: service for service in stack.services}
    return {
        service.name: {
            replica: {"condition": "service_healthy"}
            for need in service.needs
            for replica in named[need].names
        }
        for service in stack.services
    }


def _service(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = {"image": service.image}
    variables = dict(service.variables)
    if service.asks:
        found["volumes"] = [_mounted("./deployment.yaml", DEPLOYMENT)]
        variables["INFERD_DEPLOYMENT"] = DEPLOYMENT
    if variables:
        found["environment"] = variables
    return {
        **found,
        "user": f"{USER}:{USER}",
        "tmpfs": ["/tmp:size=256m"],  # noqa: S108 - the container's own
        "mem_limit": service.memory,
        "cpus": service.cpus,
        "pids_limit": 1024,
        **_HARDENED,
        "healthcheck": {
            "test": ["CMD", *service.health],
            "interval": f"{HEALTH_INTERVAL}s",
            "timeout": f"{HEALTH_TIMEOUT}s",
            "retries": 1,
            "start_period": f"{HEALTH_START}s",
        },
    }


def _mounted(source: str, target: str) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": target, "read_only": True}


def _nginx(stack: Stack, places: Mapping[str, str]) -> dict[str, Any]:
    ports = [(stack.port, SECURE if stack.tls else PLAIN)]
    if stack.tls and stack.redirect is not None:
        ports.append((stack.redirect, PLAIN))
    if stack.grpc:
        ports.append((stack.grpc_port, CALLS))
    mounts = [_mounted("./nginx.conf", "/etc/nginx/nginx.conf")]
    if stack.tls:
        mounts += [_mounted(stack.tls[0], CERT), _mounted(stack.tls[1], KEY)]
    check = f"http://127.0.0.1:{nginx.HEALTH}/health"
    return {
        "image": stack.nginx_image,
        "entrypoint": ["nginx", "-e", "stderr", "-g", "daemon off;"],
        "stop_signal": "SIGQUIT",
        "user": f"{NGINX_USER}:{NGINX_USER}",
        "tmpfs": ["/tmp:size=512m"],  # noqa: S108 - the container's own
        "mem_limit": "768m",
        "pids_limit": 256,
        **_HARDENED,
        "ports": [
            {"host_ip": stack.address, "published": str(there), "target": here, "protocol": "tcp"}
            for there, here in ports
        ],
        "volumes": mounts,
        "networks": {"inner": {}, "outer": {}},
        # Fixed addresses: it starts, and finds a replica, whether that runs at the time or not.
        "extra_hosts": [f"{name}:{places[name]}" for name in stack.front.names],
        "depends_on": {name: {"condition": "service_healthy"} for name in stack.front.names},
        # Images of NGINX hold one of the two.
        "healthcheck": {
            "test": [
                "CMD-SHELL",
                f"wget -q -O /dev/null {check} || curl -fsS -o /dev/null {check}",
            ],
            "interval": "4s",
            "timeout": "3s",
            "retries": 2,
            "start_period": "10s",
        },
    }


def _networks(stack: Stack) -> dict[str, Any]:
    inner = {"internal": True, "ipam": {"config": [{"subnet": subnet(stack)}]}}
    return {"networks": {"inner": inner, "outer": {}}}
