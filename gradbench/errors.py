"""The errors that a user can cause, each with the exit code it ends the command with.

GradbenchError
├── RequestError       exit 2: what was asked for cannot be done; nothing was changed
├── ResultsFileError   exit 2: a results file cannot be used
└── EndedEarly         exit 3: the run stopped before its end; what was measured is kept
"""

from __future__ import annotations


class GradbenchError(Exception):
    """An error whose message is one line for the user: expected, got, and what to do."""

    exit_code = 1


class RequestError(GradbenchError):
    """The request was wrong; nothing was written or changed."""

    exit_code = 2


class ResultsFileError(GradbenchError):
    """A results file is cut off, corrupt, or from elsewhere."""

    exit_code = 2


class EndedEarly(GradbenchError):
    """The run ended before its plan was done; its finished visits are kept."""

    exit_code = 3
