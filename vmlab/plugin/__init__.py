# SPDX-License-Identifier: MIT
"""The pytest plugin: options, markers and hooks, which pass each call to the session.

Every pytest run on a machine with vmlab installed imports this module, so heavy imports wait until a test uses a guest.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from vmlab.errors import VmlabError
from vmlab.plugin import hooks
from vmlab.plugin.again import RERUN, run_again
from vmlab.plugin.current import has_session, session_of
from vmlab.plugin.fixtures import (
    STARTS,
    any_guest,
    booted_guest,
    guest,
    loaded_module,
    module,
    modules,
    one_processor,
    program,
    shared_guest,
    target,
    vmlab_lab,
    vmlab_shared,
    vmlab_start,
    vmlab_target,
    vmlab_testbed,
)
from vmlab.plugin.needs import NETWORK, PARAMETERS
from vmlab.plugin.options import check_names
from vmlab.plugin.perf import perf_access
from vmlab.plugin.timing import MARKER, NO_PLACE, room_on_the_host, series, stopwatch, timed_guest, vmlab_timed
from vmlab.settings import SETTINGS, check_environment
from vmlab.text import printable

__all__ = [
    "any_guest",
    "booted_guest",
    "guest",
    "loaded_module",
    "module",
    "modules",
    "one_processor",
    "perf_access",
    "program",
    "series",
    "shared_guest",
    "stopwatch",
    "target",
    "timed_guest",
    "vmlab_lab",
    "vmlab_shared",
    "vmlab_start",
    "vmlab_target",
    "vmlab_testbed",
    "vmlab_timed",
]

_REFUSAL = "vmlab.refusal"
"""Key of an xdist worker's output: the usage error that stopped the worker."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vmlab", "kernel modules on real kernels")
    for setting in SETTINGS:
        value = {"action": "store_const", "const": "yes"} if setting.is_flag else {"metavar": setting.metavar}
        group.addoption(setting.option, dest=f"vmlab_{setting.name}", default=None, help=setting.help, **value)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    del early_config
    check_names(args)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "expect_splat(what): The test expects this kernel report, a kind ('WARNING') or part of its title: "
        "without it the test fails, and the report itself is not a failure.",
    )
    config.addinivalue_line(
        "markers",
        "expect_taint(word): The test expects this taint ('forced module'): "
        "without it the test fails, and the taint itself is not a failure.",
    )
    config.addinivalue_line("markers", MARKER)
    config.addinivalue_line(
        "markers",
        f"{NETWORK}: The test's guest has a network: it reaches the host's 127.0.0.1 and all that the host reaches.",
    )
    config.addinivalue_line(
        "markers",
        f"{PARAMETERS}(name=value): The fixture loaded_module loads the module with these parameters.",
    )
    config.addinivalue_line("markers", "slow: The test takes minutes; it runs with `nox -s soak`, not in the matrix.")
    if _is_asked(config) or _is_a_project(config):
        # Checked before collection, during which pytest would show a traceback.
        session_of(config).check_choices()
    elif _has_settings(config):
        session_of(config)
    try:
        check_environment(os.environ)
    except VmlabError as error:
        raise pytest.UsageError(f"vmlab: {error.one_line}") from None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    if config.getvalue("dist") != "load" or not _means_guests(config):
        return None  # --dist is set, or the run uses no guests
    from vmlab.plugin.scheduling import TargetScheduling, workers_with_room

    lab = session_of(config).lab
    ids = [target.id for target in lab.matrix.variants]
    return TargetScheduling(config, log, ids, most_workers=workers_with_room(lab.settings.memory_mib))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    if not _means_guests(config):
        return None
    from vmlab.plugin.scheduling import workers_that_fit

    session = session_of(config)
    return workers_that_fit(targets=len(session.targets()), memory_mib=session.lab.settings.memory_mib)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    # Not `target` itself: a project without guests may have a fixture of that name.
    if "vmlab_target" in metafunc.fixturenames:
        targets = session_of(metafunc.config).targets()
        ids = [chosen.id for chosen in targets]
        metafunc.parametrize("vmlab_target", targets, ids=ids, indirect=True, scope="session")
    if "vmlab_start" in metafunc.fixturenames:
        metafunc.parametrize("vmlab_start", STARTS, indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # After all deselection: a shard is a part of the tests that would run.
    if not any(_uses_a_target(item) for item in items):
        return
    try:
        others = session_of(config).keep_own_part(items)
        if not config.option.collectonly:
            session_of(config).require_ready(items)
    except pytest.UsageError as error:
        output = getattr(config, "workeroutput", None)
        if output is None:
            raise
        output[_REFUSAL] = str(error)  # xdist's controller does not show a worker's usage error
        items.clear()
        return
    if others:
        config.hook.pytest_deselected(items=others)


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    uses_guests = any(_uses_a_target(item) for item in session.items)
    is_shard = has_session(config) and session_of(config).shard is not None
    if _REFUSAL in getattr(config, "workeroutput", {}):
        return  # the controller reports the usage error
    if _is_asked(config) and not config.option.collectonly and not uses_guests and not is_shard:
        raise pytest.UsageError("--vmlab-target or --vmlab-module was given, but no selected test uses a guest")
    if uses_guests or is_shard:
        session_of(config).start_reporting(config)
        _start_accounting(config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    config = session.config
    # With xdist only the workers know that a test uses a guest.
    if not config.option.collectonly and not config.pluginmanager.hasplugin("dsession") and has_session(config):
        session_of(config).forget_last_run(config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    return list(map(printable, session_of(config).header())) if _means_guests(config) else []


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    words = session_of(config).shard_words if has_session(config) else ""
    return [printable(words)] if words else []


def pytest_sessionstart(session: pytest.Session) -> None:
    is_worker = hasattr(session.config, "workerinput")
    if _is_asked(session.config) and not is_worker and not session.config.option.collectonly:
        session_of(session.config).require_accelerator()
    if session.config.pluginmanager.hasplugin("dsession"):
        # xdist's controller collects no items: it learns about tests from the workers' reports.
        session.config.pluginmanager.register(_Controller(session.config), "vmlab-controller")
        if _means_guests(session.config):
            _start_accounting(session.config)


def _start_accounting(config: pytest.Config) -> None:
    from vmlab.plugin import clean
    from vmlab.plugin.accounting import Accounting

    config.pluginmanager.register(clean, "vmlab-clean")
    config.pluginmanager.register(Accounting(session_of(config).expired_rules()), "vmlab-accounting")


class _Controller:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._refusal = ""
        self._is_reporting = False
        has_part = _means_guests(config) and session_of(config).lab.settings.shard is not None
        if _is_asked(config) or has_part:
            # A shard without guest tests still writes a result, and the first test may be interrupted.
            self._is_reporting = True
            session_of(config).start_reporting(config)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        del error
        self._refusal = self._refusal or getattr(node, "workeroutput", {}).get(_REFUSAL, "")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._refusal:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._refusal:
            terminalreporter.write_line(f"ERROR: {printable(self._refusal)}", red=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # xdist reports the test in which a worker crashed without a phase or properties.
        is_crash = report.when not in ("setup", "call", "teardown") and _means_guests(self._config)
        is_ours = is_crash or hasattr(report, "vmlab_account")
        if not self._is_reporting and is_ours:
            self._is_reporting = True
            # A plugin registered during a hook call does not receive that call.
            session_of(self._config).start_reporting(self._config).pytest_runtest_logreport(report)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    if not _uses_a_target(item):
        return (yield)
    session = session_of(item.config)
    with room_on_the_host(item, session):
        result = yield
        run_again(item, nextitem, forget=session.forget)
        return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if NO_PLACE in item.stash:
        raise item.stash[NO_PLACE]
    if _uses_a_target(item):
        session_of(item.config).require_unbroken(item)


def _refuse_idle_markers(item: pytest.Item, *, has_guest: bool) -> None:
    """Fail a test whose marker has no argument, names an unknown taint, or has no guest to check."""
    from vmlab.errors import nearest
    from vmlab.klog.taint import known_names

    for marker in (*item.iter_markers("expect_splat"), *item.iter_markers("expect_taint")):
        if not marker.args or not all(marker.args):
            what = "a kind or part of a report's title" if marker.name == "expect_splat" else "the name of a taint"
            pytest.fail(f"{marker.name} needs an argument: {what}", pytrace=False)
        if not has_guest:
            pytest.fail(f"{marker.name} is set on a test that uses no guest", pytrace=False)
    for word in (word for marker in item.iter_markers("expect_taint") for word in marker.args):
        if word not in known_names():
            pytest.fail(f"expect_taint: unknown taint {word!r}; {nearest(word, known_names())}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    watches = session_of(item.config).watches(item) if _uses_a_target(item) else []
    _refuse_idle_markers(item, has_guest=bool(watches))
    try:
        result = yield
    except BaseException as error:
        for watch in watches:
            watch.explain(error)
        raise
    for watch in watches:
        watch.require_quiet()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _uses_a_target(item):
        from vmlab.plugin.clean import clean_report

        session_of(item.config).describe(item, call, report)
        clean_report(report)
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    if str(report.outcome) == RERUN:
        return RERUN, "R", "RERUN"
    if not report.failed or not hasattr(report, "vmlab_account"):
        return None
    from vmlab.plugin.account import account_on

    outcome = account_on(report).outcome
    return (str(outcome), outcome[0].upper(), outcome.upper()) if outcome is not None else None


def _is_asked(config: pytest.Config) -> bool:
    """True if the command line names targets or a module; a run without a guest is then a usage error."""
    return config.getoption("vmlab_target") is not None or config.getoption("vmlab_module") is not None


def _has_settings(config: pytest.Config) -> bool:
    """True if an option gives a setting; an invalid one is reported before tests are collected."""
    return any(config.getoption(f"vmlab_{setting.name}") is not None for setting in SETTINGS)


def _means_guests(config: pytest.Config) -> bool:
    """True if the command line, the environment or the project names targets or a module."""
    if _is_asked(config) or not _is_a_project(config):
        return _is_asked(config)
    origin = session_of(config).lab.settings.origin
    return origin["target"] != "default" or origin["module"] != "default"


def _is_a_project(config: pytest.Config) -> bool:
    """True if the tested project has settings for vmlab, or the environment names targets or a module."""
    if "VMLAB_TARGET" in os.environ or "VMLAB_MODULE" in os.environ:
        return True
    path = config.rootpath / "pyproject.toml"
    try:
        # Neither a FIFO without a writer nor a link to a device ends a read.
        return (config.rootpath / "vmlab.toml").is_file() or (
            path.is_file() and "[tool.vmlab]" in path.read_text(encoding="utf-8")
        )
    except (OSError, ValueError):
        return False


def _uses_a_target(item: pytest.Item) -> bool:
    return "vmlab_target" in getattr(item, "fixturenames", ())
