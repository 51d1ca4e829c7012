# SPDX-License-Identifier: MIT
"""Every place where the lab shows text or writes a file for people: a function that hands it a hostile text."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from unit.report.results import facts, row, run
from unit.timing.measures import document, series

from vmlab.catalogue.matrix import load_matrix
from vmlab.cloud.lock import read_lock
from vmlab.commands.main import main
from vmlab.commands.open_lab import open_lab
from vmlab.commands.trial import build_images
from vmlab.errors import AssetError, UsageError
from vmlab.host.facts import Fact, Grade
from vmlab.plugin.clean import clean_report
from vmlab.report.durations import durations_of, write_durations
from vmlab.report.files import result_text
from vmlab.report.github import annotate, outputs
from vmlab.report.junit import keep_apart
from vmlab.report.listing import print_facts, print_objects, print_targets
from vmlab.report.markdown import summary
from vmlab.report.measured import measured_lines
from vmlab.report.measurements import draw, export_pyperf, print_series
from vmlab.report.model import Outcome, RunResult
from vmlab.report.terminal import render
from vmlab.settings import load_settings
from vmlab.store.store import Store
from vmlab.system import output
from vmlab.system.progress import Progress
from vmlab.text import one_line
from vmlab.timing.document import SeriesDocument, write_document

Sink = Callable[[str, Path], str | None]
"""Takes a hostile text and a directory; returns a text, or prints it."""


def _result(text: str) -> RunResult:
    known = facts(compiler=text, build_warnings=(text,))
    rows = row((f"fib::[{text}]", Outcome.FAILED, text), ("fib::b", Outcome.LOST, f"lost {text}"), known=known)
    named = document_of(text).series
    return replace(run(rows, notices=(text,)), module=text, missing=(text,), series=named, settings={"module": text})


def document_of(text: str) -> SeriesDocument:
    return document(series([1.0, 2.0], name=text), host={"processor": text})


def _written(directory: Path, text: str) -> Path:
    path = directory / "results.json"
    path.write_text(result_text(_result(text)), encoding="utf-8")
    return path


def _command(*words: str) -> Sink:
    """A command that reads another's results.json, named by FILE, or gets the text as a word, TEXT."""

    def sink(text: str, directory: Path) -> None:
        # A command line has neither NUL nor a surrogate that stands for no byte.
        word = text.replace("\0", "").replace("\ud800", "")
        names = {"FILE": str(_written(directory, text)), "OUT": str(directory / "out")}
        main([names.get(name, name.replace("TEXT", word)) for name in words])

    return sink


_A_LOG = str(Path(__file__).parents[1] / "unit" / "klog" / "logs" / "dmesg-several.txt")


def _log(*options: str) -> Sink:
    """`vmlab log` of a log that has the text in each part that is shown."""

    def sink(text: str, directory: Path) -> None:
        lines = [
            f"sluice{text}: loading out-of-tree module taints kernel.",
            f"Kernel panic - not syncing: {text}",
            f"WARNING: CPU: 1 PID: 1 at {text}.c:1 a+0x1/0x2 [{text}]",
            f"INFO: task {text}:1 blocked for more than 120 seconds.",
        ]
        log = directory / "a.log"
        stamped = "".join(f"[{number:5d}.000000] {line}\n" for number, line in enumerate(lines))
        log.write_bytes(stamped.encode("utf-8", "surrogateescape" if "\ud800" not in stamped else "surrogatepass"))
        main(["log", *options, str(log)])

    return sink


def _tree(*words: str) -> Sink:
    """A command that describes a module's tree, TREE, with the text in each file."""

    def sink(text: str, directory: Path) -> None:
        tree = directory / "tree"
        tree.mkdir()
        files = {
            "Kbuild": f"obj-m := a.o\n# {text}\n",
            "a.c": f'MODULE_FIRMWARE("{text}");\nMODULE_PARM_DESC(size, "{text}");\nmodule_param(size, int, 0);\n',
            "dkms.conf": f'PACKAGE_NAME="{text}"\nBUILT_MODULE_NAME[0]="a"\n',
        }
        for name, content in files.items():
            (tree / name).write_bytes(content.encode("utf-8", "replace"))
        main([word.replace("TREE", str(tree)) for word in words])

    return sink


def _file(write: Callable[[str, Path], object]) -> Sink:
    def sink(text: str, directory: Path) -> str:
        with contextlib.redirect_stdout(io.StringIO()):
            write(text, directory / "file")
        return (directory / "file").read_bytes().decode("utf-8")

    return sink


def _store(text: str, directory: Path) -> Store:
    store = Store(directory / "there")
    told = {"target": "debian12-6.1", "release": text}
    store.obtain("image", {"base": text}, lambda _: told)
    return store


def _targets(text: str, directory: Path) -> None:
    print_targets(load_matrix(), _store(text, directory), read_lock(directory / "lock.toml"), chosen=())


def _objects(text: str, directory: Path) -> None:
    store = _store(text, directory)
    print_objects(store, list(store.objects()))


def _lab_says(text: str, directory: Path) -> None:
    lab = open_lab(load_settings({}, directory=directory))
    lab.context.progress(f"{text}: a step")
    lab.context.notice(text)
    lab.context.tell(text, text, text)


def _progress(text: str, _: Path) -> str:
    shown: list[str] = []
    Progress(lambda step, _: shown.append(step), is_terminal=lambda: True)(text)
    return shown[0]


def _build(text: str, directory: Path) -> None:
    class Lab:
        def testbed(self, _: object) -> None:
            raise AssetError(f"no image: {text}", detail=text)

    target = load_matrix().select("debian12-6.1")[0]
    build_images(Lab(), [target], say=output.say)  # type: ignore[arg-type]


def _doctor(text: str, *, as_json: bool) -> None:
    print_facts([Fact(topic=text, grade=Grade.BAD, finding=text, advice=text, seen={"x": text})], as_json=as_json)


def _junit(text: str, _: Path) -> str:
    from xml.sax.saxutils import escape, quoteattr

    allowed = "".join(letter for letter in text if letter >= " " and not "\ud800" <= letter <= "\udfff")
    allowed = allowed.replace("\uffff", "")
    fault = f"<failure message={quoteattr(allowed)}>{escape(allowed)}</failure>{escape(allowed)}"
    case = f"<testcase name={quoteattr(allowed)}>{fault}</testcase>"
    return keep_apart(f"<testsuites><testsuite>{case}</testsuite></testsuites>")


def report_with(text: str) -> pytest.TestReport:
    """Return a failed test's report that has a text in every part."""
    try:
        raise ValueError(text)
    except ValueError:
        trace = pytest.ExceptionInfo.from_current()
    shown = trace.getrepr(showlocals=True)
    report = pytest.TestReport("a", ("a", 1, "a"), {}, "failed", shown, "call", [("out", text)])
    report.user_properties = [("x", text)]
    return report


def _pytests_report(text: str, _: Path) -> str:
    report = report_with(text)
    clean_report(report)
    return f"{report.longreprtext}\n{report.sections}\n{json.dumps(report._to_json(), ensure_ascii=False)}"


SINKS: Mapping[str, Sink] = {
    "an error": lambda text, _: str(UsageError(text, hint=text, detail=text)),
    "an error's line": lambda text, _: UsageError(text, hint=text, detail=text).one_line,
    "a reason": lambda text, _: one_line(text),
    "standard output": lambda text, _: output.say(text),
    "standard output in JSON": lambda text, _: output.say_json({text: [text]}),
    "standard error": lambda text, _: output.warn(text),
    "a step": lambda text, _: output.show_step(text),
    "progress": _progress,
    "the lab's notices and steps": _lab_says,
    "images build": _build,
    "an unknown command": _command("TEXT"),
    "an unknown option": _command("targets", "--TEXT"),
    "an unknown target": _command("targets", "--vmlab-target", "TEXT"),
    "a setting's value": _command("targets", "--vmlab-accel", "TEXT"),
    "a setting's path": _command("images", "ls", "--vmlab-store", "TEXT"),
    "a size": _command("time", "loop {n}", "--n", "TEXT"),
    "shell": _command("shell", "TEXT"),
    "the shell of a kept guest": _command("shell", "kept-TEXT"),
    "log": _log(),
    "log --json": _log("--json"),
    "a log's name": _command("log", "TEXT"),
    "a log's module": _command(
        "log", str(Path(__file__).parents[1] / "unit/klog/logs/dmesg-several.txt"), "--module", "TEXT"
    ),
    "describe": _tree("describe", "TREE"),
    "describe --json": _tree("describe", "TREE", "--json"),
    "init": _tree("init", "TREE"),
    "images rm": _command("images", "rm", "TEXT"),
    "images check": _command("images", "check", "TEXT"),
    "symbols": _command("symbols", "TEXT"),
    "a file's name": _command("series", "TEXT"),
    "targets": _targets,
    "images ls": _objects,
    "doctor": lambda text, _: _doctor(text, as_json=False),
    "doctor --json": lambda text, _: _doctor(text, as_json=True),
    "the table": lambda text, _: render(_result(text), width=100, color=False),
    "the coloured table": lambda text, _: render(_result(text), width=100, color=True),
    "figures below the table": lambda text, _: "\n".join(measured_lines(document_of(text).series, report="r")),
    "compare": _command("compare", "FILE", "FILE"),
    "compare --json": _command("compare", "FILE", "FILE", "--json"),
    "series": _command("series", "FILE"),
    "series in a list": lambda text, _: print_series(document_of(text)),
    "plot": _command("plot", "FILE"),
    "report merge": _command("report", "merge", "FILE", "--out", "OUT"),
    "report summary": _command("report", "summary", "FILE"),
    "report annotate": _command("report", "annotate", "FILE"),
    "report outputs": _command("report", "outputs", "FILE"),
    "report durations": _command("report", "durations", "FILE", "--out", "OUT"),
    "Markdown": lambda text, _: summary(_result(text)),
    "annotations": lambda text, _: "\n".join(annotate(_result(text), directory=text)),
    "a step's outputs": lambda text, _: "\n".join(outputs(_result(text)).values()),
    "JUnit XML": _junit,
    "results.json": lambda text, _: result_text(_result(text)),
    "a series file": _file(lambda text, path: write_document(document_of(text), path)),
    "pyperf": _file(lambda text, path: export_pyperf(document_of(text), path)),
    "durations": _file(lambda text, path: write_durations(durations_of([_result(text)]), path)),
    "an SVG plot": _file(lambda text, path: draw(document_of(text), svg_file=path, name=None)),
    "pytest's report of a test": _pytests_report,
}
SHOWS_NO_TEXT = frozenset({"init", "a step's outputs", "report outputs", "report durations"})
"""Sinks that show only a number or a part of the text."""

MODULES: Mapping[str, tuple[str, ...] | str] = {
    "vmlab.cloud.lock": "a file that only the lab reads, in ASCII",
    "vmlab.cloud.partial": "a file that only the lab reads, in ASCII JSON",
    "vmlab.commands.describe": ("describe", "describe --json", "init"),
    "vmlab.commands.host": ("doctor",),
    "vmlab.commands.images": ("images rm", "images check", "images build"),
    "vmlab.commands.log": ("log --json", "a log's name", "a log's module"),
    "vmlab.commands.main": ("an unknown command", "an unknown target"),
    "vmlab.commands.open_lab": ("the lab's notices and steps",),
    "vmlab.commands.report": ("report merge", "report summary", "report annotate", "report outputs"),
    "vmlab.commands.shell": ("shell", "the shell of a kept guest"),
    "vmlab.commands.targets": ("targets", "symbols"),
    "vmlab.guest.ssh": "the streams of a shell that the user opened, as they are",
    "vmlab.machine.registry": "a record that only the lab reads, in ASCII JSON",
    "vmlab.module.symbol_reader": "an answer that only the lab reads, in ASCII JSON",
    "vmlab.plugin": "test_plugin_text.py",
    "vmlab.plugin.accounting": "test_plugin_text.py",
    "vmlab.plugin.clean": "test_plugin_text.py",
    "vmlab.plugin.options": "test_plugin_text.py",
    "vmlab.plugin.progress": "test_plugin_text.py",
    "vmlab.plugin.reporting": "test_plugin_text.py",
    "vmlab.plugin.session": "test_plugin_text.py",
    "vmlab.plugin.watch": "test_plugin_text.py",
    "vmlab.report.comparison": ("compare", "compare --json"),
    "vmlab.report.console": ("the table", "the coloured table"),
    "vmlab.report.durations": ("durations",),
    "vmlab.report.explained_log": ("log",),
    "vmlab.report.files": ("results.json",),
    "vmlab.report.listing": ("targets", "images ls", "doctor", "doctor --json"),
    "vmlab.report.measurements": ("series", "series in a list", "plot", "an SVG plot"),
    "vmlab.report.pyperf": ("pyperf",),
    "vmlab.report.terminal": ("the table", "the coloured table"),
    "vmlab.store.store": "a record that only the lab reads, in ASCII JSON",
    "vmlab.store.trees": "a file that only the lab reads, in ASCII JSON",
    "vmlab.system.output": ("standard output", "standard output in JSON", "standard error", "a step"),
    "vmlab.timing.document": ("a series file",),
}
"""Modules that print, or write a file for people: with the sinks above, the test elsewhere, or why none is needed."""
