import re
from dataclasses import fields, replace

import pytest

from inferd.core.errors import ConfigError
from inferd.deploy.nginx import CERT, CONNECT, Proxy, nginx_conf
from inferd.transport.limits import Limits

USUAL = Proxy(("shop-1", "shop-2"))
EVERYTHING = Proxy(
    ("app-1", "app-2", "app-3", "app-4"), tls=True, public_port=8443, timeout=60,
    server_name="models.example.org",
)  # fmt: skip


def read(text):
    """Return the directives as (words, block or None); fails where they are not well formed."""
    tokens = re.findall(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|#[^\n]*|[{};]|[^\s{};'"]+""", text)
    tokens = [t for t in tokens if not t.startswith("#")]

    def block(position, *, inner):
        found, words = [], []
        while position < len(tokens):
            token = tokens[position]
            position += 1
            if token == ";":
                assert words
                found.append((words, None))
                words = []
            elif token == "{":
                body, position = block(position, inner=True)
                found.append((words, body))
                words = []
            elif token == "}":
                assert inner
                assert not words
                return found, position
            else:
                words.append(token)
        assert not inner
        assert not words
        return found, position

    return block(0, inner=False)[0]


def of(directives, name):
    return [(words[1:], body) for words, body in directives if words[0] == name]


def value(directives, name):
    [(words, _)] = of(directives, name)
    return words


def http(proxy, limits=None):
    [(_, body)] = of(read(nginx_conf(proxy, limits)), "http")
    return body


def servers(proxy):
    """Return the server blocks by the first word they listen to."""
    return {value(body, "listen")[0]: body for _, body in of(http(proxy), "server")}


def location(server, path="/"):
    [body] = [body for words, body in of(server, "location") if words[-1] == path]
    return body


def test_the_usual_file(snapshot):
    snapshot("nginx.conf", nginx_conf(USUAL))


def test_a_file_with_everything(snapshot):
    snapshot("nginx.everything.conf", nginx_conf(EVERYTHING))


def test_without_grpc_there_is_no_door_for_it():
    assert set(servers(replace(USUAL, grpc=False))) == {"8080", "127.0.0.1:8079"}
    assert "grpc" not in nginx_conf(replace(USUAL, grpc=False))


def test_every_replica_is_an_upstream_of_both_kinds():
    upstreams = {words[0]: body for words, body in of(http(USUAL), "upstream")}

    assert [w[0] for w, _ in of(upstreams["inferd"], "server")] == ["shop-1:8000", "shop-2:8000"]
    assert [w[0] for w, _ in of(upstreams["inferd_grpc"], "server")] == [
        "shop-1:8001",
        "shop-2:8001",
    ]
    for body in upstreams.values():
        names = [words[0] for words, _ in body]
        # keepalive must stand after the method, and a zone shares what is known among workers.
        assert names.index("least_conn") < names.index("keepalive")
        assert "zone" in names


@pytest.mark.parametrize("kind", ["proxy", "grpc"])
def test_the_next_replica_is_asked_soon(kind):
    server = servers(USUAL)["8080" if kind == "proxy" else "8001"]
    inner = location(server)

    assert value(inner, f"{kind}_connect_timeout") == [f"{CONNECT}s"]
    assert {"error", "timeout", "http_503", "non_idempotent"} <= set(
        value(inner, f"{kind}_next_upstream")
    )
    assert value(inner, f"{kind}_next_upstream_tries") == ["2"]
    assert value(inner, f"{kind}_next_upstream_timeout") == ["10s"]


def test_no_more_are_asked_than_there_are_and_than_is_sensible():
    assert "next_upstream_tries 1;" in nginx_conf(Proxy(("a-1",)))
    assert "next_upstream_tries 3;" in nginx_conf(EVERYTHING)


def test_nothing_is_refused_that_the_server_would_take():
    limits = Limits(json_body_bytes=1 << 30, header_bytes=64 << 10)
    body = http(USUAL, limits)

    assert int(value(body, "client_max_body_size")[0]) == 1 << 30
    assert value(body, "large_client_header_buffers") == ["4", "64k"]
    assert value(location(servers(USUAL)["8080"]), "proxy_read_timeout") == ["310s"]
    assert {"client_body_timeout", "keepalive_timeout"} <= {words[0] for words, _ in body}
    assert {f.name for f in fields(Limits)} >= {"body_time", "idle_time", "write_time"}


def test_connections_are_kept_for_less_than_the_server_keeps_them():
    upstream = of(http(USUAL), "upstream")[0][1]

    assert int(value(upstream, "keepalive_timeout")[0].rstrip("s")) < Limits().idle_time
    assert value(location(servers(USUAL)["8080"]), "proxy_http_version") == ["1.1"]


def test_answers_are_buffered_unless_they_say_otherwise():
    text = nginx_conf(USUAL)

    assert "proxy_buffering off" not in text
    assert "X-Accel-Buffering" not in text  # nor is the server's word passed over
    assert "proxy_ignore_headers" not in text


def test_metrics_and_the_control_plane_are_not_there():
    text = nginx_conf(EVERYTHING)

    assert value(location(servers(USUAL)["8080"], "/metrics"), "return") == ["404"]
    assert "8002" not in text
    assert "8003" not in text


def test_its_own_health_is_asked_inside_only():
    assert value(location(servers(USUAL)["127.0.0.1:8079"], "/health"), "return")[0] == "200"


def test_tls_ends_here():
    found = servers(EVERYTHING)

    for port in ("8443", "8001"):
        assert {"ssl", "http2"} <= set(value(found[port], "listen"))
        assert value(found[port], "ssl_certificate") == [CERT]
        assert value(found[port], "ssl_protocols") == ["TLSv1.2", "TLSv1.3"]
    assert value(found["8080"], "return") == ["308", "https://$host:8443$request_uri"]
    assert "https://$host$request_uri" in nginx_conf(replace(EVERYTHING, public_port=443))


def test_plain_http_may_be_left_out():
    assert "8080" not in servers(replace(EVERYTHING, redirect=False))


def test_strict_transport_is_said_of_a_known_name_only():
    assert "Strict-Transport-Security" in nginx_conf(EVERYTHING)
    assert "Strict-Transport-Security" not in nginx_conf(replace(EVERYTHING, server_name="_"))


def test_of_no_replica_no_file_is_made():
    with pytest.raises(ConfigError, match="no replica"):
        nginx_conf(Proxy(()))
