"""What the doors need to know of the server's settings, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the doors. Sizes in bytes, times in seconds.

    ``timeout``: deadline of a request that names none; ``max_timeout``: the longest one may name.
    ``offload_bytes``: bodies and results above this are coded off the loop. ``rows_at_once``: how
    many rows of one request are run at a time where they cannot share one entry.
    ``default_accept``: the content type of a SageMaker answer for which none is asked;
    ``default_model``: the model that ``/invocations`` asks where several are served.
    ``hosts``: names the control plane answers to besides those of loopback.
    """

    json_body_bytes: int = 8 << 20
    binary_body_bytes: int = 64 << 20
    json_depth: int = 64
    timeout: float = 30.0
    max_timeout: float = 86400.0
    offload_bytes: int = 256 << 10
    rows_at_once: int = 64
    cors_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    default_accept: str = "application/json"
    default_model: str | None = None
