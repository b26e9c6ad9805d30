"""``nginx.conf`` in front of the replicas of one service: from a plan to text.

Runs in every NGINX since 1.19.10 and asks for no module that its packages lack. NGINX resolves the names of
upstreams once, when it starts, so replicas have fixed addresses (``compose``). Inference is pure, so a
request whose replica died is asked again at the next (``non_idempotent``); a streamed answer that has
begun is not. Streams say ``X-Accel-Buffering: no``, which NGINX heeds; other answers are buffered,
which frees a replica from slow readers. What NGINX allows a client is never less than the server does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inferd.core.errors import ConfigError
from inferd.deploy.dockerfile import HEADER
from inferd.deploy.plan import GRPC_PORT, HTTP_PORT
from inferd.transport.limits import Limits

PLAIN, SECURE, CALLS, HEALTH = 8080, 8443, 8001, 8079
"""Ports in NGINX's container: HTTP, HTTPS, gRPC, and, on its loopback, its own health."""

CERT, KEY = "/etc/nginx/tls/cert.pem", "/etc/nginx/tls/key.pem"
CONNECT = 1
FAILS, FAIL_TIME = 2, 5
RETRY_TIME = 10
MOST_TRIES = 3
KEPT = 64
_MARGIN = 10


@dataclass(frozen=True, slots=True)
class Proxy:
    """What NGINX stands before. ``replicas``: their host names. ``timeout``: of a request, in seconds.

    ``server_name``: under which it is known, ``_`` for any. ``redirect``: plain HTTP leads to HTTPS, at
    ``public_port``.
    """

    replicas: tuple[str, ...]
    grpc: bool = True
    tls: bool = False
    redirect: bool = True
    public_port: int = 443
    server_name: str = "_"
    timeout: int = 300


def nginx_conf(proxy: Proxy, limits: Limits | None = None) -> str:
    """Return the whole file; ``limits``: those of the server behind."""
    if not proxy.replicas:
        raise ConfigError("there is no replica to put NGINX in front of")
    limits = limits or Limits()
    blocks = [_http(limits), _upstream("inferd", proxy.replicas, HTTP_PORT)]
    if proxy.grpc:
        blocks.append(_upstream("inferd_grpc", proxy.replicas, GRPC_PORT))
    blocks += [_front(proxy, limits)]
    if proxy.tls and proxy.redirect:
        blocks.append(_redirect(proxy))
    if proxy.grpc:
        blocks.append(_calls(proxy))
    blocks.append(_health())
    body = "\n".join(blocks)
    return f"{HEADER.format(command='compose')}{_MAIN}\nhttp {{\n{_indented(body)}}}\n"


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())


_MAIN = """worker_processes auto;
# Raised here, as the server does for itself: an engine may refuse more than it has.
worker_rlimit_nofile 16384;
pid /tmp/nginx.pid;
error_log stderr warn;

events {
    worker_connections 8192;
}
"""


def _http(limits: Limits) -> str:
    return f"""server_tokens off;
# The container is read-only but for /tmp.
client_body_temp_path /tmp/body;
proxy_temp_path /tmp/proxy;
fastcgi_temp_path /tmp/fastcgi;
uwsgi_temp_path /tmp/uwsgi;
scgi_temp_path /tmp/scgi;

log_format requests escape=json
    '{{"time":"$time_iso8601","method":"$request_method","path":"$uri","status":$status,'
    '"seconds":$request_time,"bytes":$bytes_sent,"request_id":"$id","traceparent":"$http_traceparent",'
    '"upstream":"$upstream_addr","upstream_status":"$upstream_status",'
    '"upstream_seconds":"$upstream_response_time"}}';
access_log /dev/stdout requests;

# A client's request id is kept; who sends none is given one. traceparent and the like pass as they are.
map $http_x_request_id $id {{
    default $http_x_request_id;
    "" $request_id;
}}

# The limits of the server behind, so that nothing is refused here which it would take.
client_header_buffer_size 4k;
large_client_header_buffers 4 {limits.header_bytes // 1024}k;
client_max_body_size {max(limits.json_body_bytes, limits.binary_body_bytes)};
client_body_buffer_size 256k;
client_header_timeout {limits.header_time:.0f}s;
client_body_timeout {limits.body_time:.0f}s;
send_timeout {limits.write_time:.0f}s;
keepalive_timeout {limits.idle_time:.0f}s;
keepalive_requests 100000;
reset_timedout_connection on;
tcp_nodelay on;
merge_slashes off;
absolute_redirect off;
"""


def _upstream(name: str, replicas: Sequence[str], port: int) -> str:
    servers = "".join(
        f"    server {replica}:{port} max_fails={FAILS} fail_timeout={FAIL_TIME}s;\n"
        for replica in replicas
    )
    # Kept connections end here before the server would end them (idle_time), so none is used too late.
    return f"""upstream {name} {{
    zone {name} 256k;
    least_conn;
{servers}    keepalive {KEPT};
    keepalive_requests 100000;
    keepalive_timeout 60s;
}}
"""


def _retries(kind: str, proxy: Proxy) -> str:
    tries = min(len(proxy.replicas), MOST_TRIES)
    return f"""{kind}_connect_timeout {CONNECT}s;
{kind}_read_timeout {proxy.timeout + _MARGIN}s;
{kind}_send_timeout {proxy.timeout + _MARGIN}s;
{kind}_next_upstream error timeout http_502 http_503 non_idempotent;
{kind}_next_upstream_tries {tries};
{kind}_next_upstream_timeout {RETRY_TIME}s;
"""


def _headers(kind: str) -> str:
    return f"""{kind}_set_header Host $host;
{kind}_set_header X-Request-Id $id;
{kind}_set_header X-Forwarded-For $remote_addr;
{kind}_set_header X-Forwarded-Proto $scheme;
"""


def _front(proxy: Proxy, limits: Limits) -> str:
    listen = f"{SECURE} ssl http2" if proxy.tls else str(PLAIN)
    inner = _retries("proxy", proxy) + _headers("proxy")
    return f"""server {{
    listen {listen};
    server_name {proxy.server_name};
{_indented(_tls(proxy))}
    # Of the control plane nothing is here at all; metrics have a port of their own, inside.
    location = /metrics {{
        return 404;
    }}

    location / {{
        proxy_pass http://inferd;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
{_indented(_indented(inner)).rstrip()}
        proxy_buffers 16 16k;
        proxy_buffer_size 16k;
        proxy_max_temp_file_size 0;
    }}
}}
"""


def _calls(proxy: Proxy) -> str:
    secured = " ssl" if proxy.tls else ""
    inner = _retries("grpc", proxy) + _headers("grpc")
    return f"""server {{
    listen {CALLS}{secured} http2;
    server_name {proxy.server_name};
    # A stream may be as long as it likes; its messages are bounded by the server.
    client_max_body_size 0;
    client_body_timeout {proxy.timeout + _MARGIN}s;
{_indented(_tls(proxy))}
    location / {{
        grpc_pass grpc://inferd_grpc;
{_indented(_indented(inner)).rstrip()}
        # A call that was sent already is never sent again here: told as gRPC tells it, so that the
        # retry policy of the client's library takes it up.
        error_page 502 503 504 = @unavailable;
    }}

    location @unavailable {{
        default_type application/grpc;
        add_header grpc-status 14 always;
        add_header grpc-message "no replica answered" always;
        return 204;
    }}
}}
"""


def _tls(proxy: Proxy) -> str:
    if not proxy.tls:
        return ""
    known = proxy.server_name != "_"
    strict = 'add_header Strict-Transport-Security "max-age=31536000" always;\n' if known else ""
    return f"""ssl_certificate {CERT};
ssl_certificate_key {KEY};
ssl_protocols TLSv1.2 TLSv1.3;
ssl_ciphers {":".join(_CIPHERS)};
ssl_prefer_server_ciphers off;
ssl_session_cache shared:tls:10m;
ssl_session_timeout 1d;
ssl_session_tickets off;
{strict}"""


_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
)  # fmt: skip


def _redirect(proxy: Proxy) -> str:
    port = "" if proxy.public_port == 443 else f":{proxy.public_port}"
    return f"""server {{
    listen {PLAIN};
    server_name {proxy.server_name};
    return 308 https://$host{port}$request_uri;
}}
"""


def _health() -> str:
    return f"""server {{
    listen 127.0.0.1:{HEALTH};
    access_log off;
    location = /health {{
        return 200 "ok\\n";
    }}
}}
"""
