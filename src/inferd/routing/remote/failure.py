"""What became of one question to one replica that was not answered: whose fault, and may it be repeated.

Four things follow from a failure: what the caller is told, whether another replica may be asked, what it
says of this replica, and whether it is one of the service. All protocols decide them here.
"""

from __future__ import annotations

from inferd.core.errors import (
    Cancelled,
    DeadlineExceeded,
    InferdError,
    ModelFailed,
    NotAllowed,
    Overloaded,
    Unavailable,
)


class Failure(Exception):
    """A question that was not answered.

    ``again``: another replica may be asked. ``blame``: it counts against this replica. ``reached``: it
    was connected. ``late``: no answer came in time. ``ours``: the service as a whole may be at fault.
    """

    def __init__(
        self, error: InferdError, *, again: bool = False, blame: bool = False,
        reached: bool = True, late: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.blame = blame
        self.reached = reached
        self.late = late

    @property
    def ours(self) -> bool:
        """Whether it counts for the breaker: a model that fails on an input is no broken service."""
        return self.blame and not isinstance(self.error, ModelFailed)

    @property
    def crowded(self) -> bool:
        """Whether there was no place for it, here or there: nothing is broken, and nothing was answered."""
        return isinstance(self.error, Overloaded)


def unreached(service: str, where: str, reason: str) -> Failure:
    """Return the failure of a replica that cannot be connected to."""
    return Failure(
        Unavailable(f"service {service!r} at {where}: {reason}", retry_after=1.0),
        again=True, blame=True, reached=False,
    )  # fmt: skip


def broken(service: str, where: str, reason: str) -> Failure:
    """Return the failure of a connection that ended before anything of an answer came.

    What is asked has no effect, so it may be asked again.
    """
    return Failure(
        Unavailable(f"service {service!r} at {where}: {reason}", retry_after=1.0),
        again=True, blame=True, reached=False,
    )  # fmt: skip


def garbled(service: str, where: str, reason: str) -> Failure:
    """Return the failure of an answer that broke off, or is none of the protocol."""
    return Failure(
        Unavailable(f"service {service!r} at {where}: {reason}", retry_after=1.0),
        again=True, blame=True,
    )  # fmt: skip


def crowded(service: str, where: str, reason: str) -> Failure:
    """Return the failure of a question that found too many waiting on this side."""
    return Failure(
        Overloaded(f"service {service!r} at {where}: {reason}", retry_after=1.0), again=True
    )


def late(service: str, where: str, reason: str) -> Failure:
    """Return the failure of a replica that did not answer in time.

    Whether it is to blame depends on how much time it had: who asked decides that.
    """
    return Failure(DeadlineExceeded(f"service {service!r} at {where}: {reason}"), late=True)


def mismatched(service: str, where: str, reason: str) -> Failure:
    """Return the failure of an answer that does not fit the model's signature."""
    return Failure(
        ModelFailed(
            f"service {service!r} at {where} answered otherwise than its model says: {reason}",
            help="its metadata are read again",
        ),
        blame=True,
    )


def refused(service: str, error: InferdError) -> Failure:
    """Return the failure of a question that was answered with a refusal; ``error``: what it says."""
    told = f"service {service!r}: {error.message}"
    error.message = told
    error.args = (told,)
    if isinstance(error, Overloaded):  # busy, not broken
        return Failure(error, again=True)
    if isinstance(error, Unavailable):
        return Failure(error, again=True, blame=True)
    if isinstance(error, NotAllowed):
        # The caller may not be told to change what the operator has set.
        return Failure(
            Unavailable(told, help="check the headers and the key that the deployment file sets"),
            blame=False,
        )
    if isinstance(error, Cancelled):
        return Failure(Unavailable(told, retry_after=1.0), again=True)
    if isinstance(error, DeadlineExceeded):
        return Failure(error, late=True)
    return Failure(error, blame=isinstance(error, ModelFailed))
