"""Sockets and bytes: the HTTP/1.1 server, its limits, TLS and the ASGI adapter; no models."""
