"""`check server`: any WSGI server, started by its command, tried with a probe app and a raw client.

    from wsgikit.validators.server import Plan, Target, check, run_server_tests

`check(Target(command=(...)), Plan())` gives a report; `run_server_tests(command)` gives pytest tests. The parts:
`probe` is the app that runs under the server, `control` the line on which it tells what it saw, `trial` what a case
works with, `cases` the experiments, `lane` and `runner` their execution. Standard library only.
"""

from __future__ import annotations

from wsgikit.validators.server.runner import Plan, check
from wsgikit.validators.server.suite import ServerRuleWarning, run_server_tests
from wsgikit.validators.server.target import Target, TargetError

__all__ = ["Plan", "ServerRuleWarning", "Target", "TargetError", "check", "run_server_tests"]
