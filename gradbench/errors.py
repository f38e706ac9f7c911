"""The errors that a user can cause, each with the exit code of the command.

    GradbenchError
    ├── RequestError       exit 2: the request cannot be met; nothing was changed.
    ├── ResultsFileError   exit 2: a results file cannot be used.
    └── EndedEarly         exit 3: the run stopped before its end; finished visits are kept.

Every message is one line for the user: expected, got, and what to do.
"""

from __future__ import annotations


class GradbenchError(Exception):
    """An error that a user can cause."""

    exit_code = 1


class RequestError(GradbenchError):
    """The request was wrong; nothing was written or changed."""

    exit_code = 2


class ResultsFileError(GradbenchError):
    """A results file is cut off, corrupt, or of another program."""

    exit_code = 2


class EndedEarly(GradbenchError):
    """The run ended before its plan was done; its finished visits are kept."""

    exit_code = 3
