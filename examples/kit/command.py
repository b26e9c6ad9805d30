"""How the clients of the applications end."""

from __future__ import annotations

import sys
from collections.abc import Callable

from inferd.core.errors import InferdError


def status(work: Callable[[], int]) -> int:
    """Return the exit status of ``work``; what goes wrong is told in words.

    Ctrl-C, the end of what is typed, and a reader who has gone end it quietly.
    """
    try:
        return work()
    except EOFError:
        return 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{where}{error.strerror or error}", file=sys.stderr)
        return 1
    except InferdError as error:
        print(error, file=sys.stderr)
        return 1
