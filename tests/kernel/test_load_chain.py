# SPDX-License-Identifier: MIT
"""The call chain from the system call through load_module to the module's init, and the memory freed afterwards, from
the function graph tracer."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from .bench import DIRECTORY, Bench
from .finding import Note
from .graph import TRACING, Call, parse_graph, source_name, trace_script, which_script
from .load_steps import Seen, Sight, chain, later, look, traced_names

# perf and tracing patch the running kernel's code.
pytestmark = pytest.mark.usefixtures("one_processor")

_HERE = Path(__file__).parent
_CALLS = ("finit_module", "init_module")
_AROUND = tuple(f"__{prefix}_sys_{call}" for call in _CALLS for prefix in ("x64", "arm64", "do", "se"))
"""Functions that SYSCALL_DEFINE3() defines (include/linux/syscalls.h, and the architecture's own wrapper)."""
_MORE = ("kernel_read_file", "kernel_read_file_from_fd", "vmlab_said")
_READERS = {"finit_module": "kernel_read_file", "init_module": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A trace of two loads of hello.ko, one from a file and one from a buffer."""

    by_file: Call
    by_buffer: Call
    freed: Call
    has: Collection[str]
    """Those function names that are in the kernel's symbol table."""
    traceable: Collection[str]
    release: str

    @property
    def load(self) -> Call:
        return next(call for call in self.by_file.walk() if call.name == "load_module")


_traces: dict[str, Trace | str] = {}
"""One trace per kit, shared by the tests below. A string is the reason why a kernel gives none."""


@pytest.fixture
def trace(bench: Bench, program: Callable[[Path], str]) -> Trace:
    """The traced loads. Cost: some seconds, once per target."""
    key = bench.kit.directory.name
    if key not in _traces:
        _traces[key] = _record(bench, program(_HERE / "load_buffer.c"))
    found = _traces[key]
    if isinstance(found, str):
        pytest.skip(found)
    return found


def _record(bench: Bench, loader: str) -> Trace | str:
    tracers = bench.root(f"cat {TRACING}/available_tracers")
    if "function_graph" not in tracers.stdout.split():
        return f"this kernel has no function graph tracer: {tracers.stdout.strip() or tracers.stderr.strip()}"
    names = (*_AROUND, *traced_names(), *_MORE)
    listed, _, present = bench.as_root(which_script(names)).partition("--\n")
    traceable, has = listed.split(), {source_name(name) for name in present.split()}
    roots = [name for name in traceable if name.startswith(("__x64_sys_", "__arm64_sys_", "do_free_init"))]
    done = f"await 'grep -q do_free_init {TRACING}/trace'"
    script = trace_script(
        f"echo file >$T/trace_marker; insmod hello.ko; {done}; print_trace; rmmod hello; "
        f"echo buffer >$T/trace_marker; {loader} hello.ko; print_trace; rmmod hello",
        roots=roots,
        functions=traceable,
        modules=["hello"],
    )
    found = parse_graph(bench.as_root(script))
    calls = {call.name: call for call in (*found.get("file", ()), *found.get("buffer", ()))}
    by = {each: next((call for name, call in calls.items() if name.endswith(f"_sys_{each}")), None) for each in _CALLS}
    by_file, by_buffer, freed = by["finit_module"], by["init_module"], calls.get("do_free_init")
    if by_file is None or by_buffer is None or freed is None:
        return f"the tracer showed no system call or no worker, only {', '.join(calls) or 'nothing'}"
    return Trace(
        by_file=by_file,
        by_buffer=by_buffer,
        freed=freed,
        has=has,
        traceable={source_name(name) for name in traceable},
        release=bench.kit.release,
    )


def _typed(root: str, load: str) -> str:
    """Commands with which a reader gets the same trace, including other called functions."""
    return (
        f"cd {TRACING}; echo {root} >set_graph_function; echo function_graph >current_tracer\n"
        f"cd {DIRECTORY}; {load}; cat {TRACING}/trace  # shown here: the functions in load_steps.toml"
    )


def _without_wrappers(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in _AROUND)


def test_load_module_is_called_through_helpers_since_6_5(trace: Trace, finding: Note) -> None:
    """Key `load.chain.file`, fact `is_direct`: directly from the system call until 6.4; through two functions since."""
    found = trace.by_file.chain_to("load_module")
    assert _without_wrappers(found) == chain(trace.release)
    assert trace.by_file.chain_to("kernel_read_file")
    finding(
        "load.chain.file",
        command=_typed(trace.by_file.name, "insmod hello.ko"),
        output=str(trace.by_file),
        chain=" > ".join(found),
        is_direct=_without_wrappers(found) == ("load_module",),
        release=trace.release,
    )


def test_a_load_from_a_buffer_has_no_helpers(trace: Trace, finding: Note) -> None:
    """Key `load.chain.buffer`: the kernel cannot tell that two buffers hold the same file, so loads share nothing."""
    found = trace.by_buffer.chain_to("load_module")
    assert _without_wrappers(found) == ("load_module",)
    assert not trace.by_buffer.chain_to("kernel_read_file")
    finding(
        "load.chain.buffer",
        command=_typed(trace.by_buffer.name, "./load_buffer hello.ko"),
        output=str(trace.by_buffer),
        chain=" > ".join(found),
        release=trace.release,
    )


def test_each_step_of_the_source_is_seen_or_told_to_be_inlined(trace: Trace, finding: Note) -> None:
    """Key `load.steps`: a line for each step of load_steps.toml; facts: function to its visibility."""
    sights = look(trace.load, trace.release, has=trace.has, traceable=trace.traceable)
    seen = {sight.function.function: sight.seen for sight in sights}
    assert [name for name, what in seen.items() if what is Seen.NOT_CALLED] == []
    unseen = [sight for sight in sights if sight.seen is Seen.UNSEEN and not sight.function.seldom]
    assert [str(sight) for sight in unseen] == []
    finding(
        "load.steps",
        command=_typed("load_module", "insmod hello.ko"),
        output="\n".join(f"{sight}: {sight.function.does}" for sight in sights),
        **{name: str(what) for name, what in seen.items()},
    )


def test_the_steps_come_in_the_order_of_the_source(trace: Trace) -> None:
    first: dict[str, int] = {}
    for place, call in enumerate(trace.load.walk()):
        first.setdefault(call.name, place)
    sights = look(trace.load, trace.release, has=trace.has, traceable=trace.traceable)
    outer = [sight for sight in sights if sight.function.within == "load_module"]
    places = [_place_of(sight, first) for sight in outer if sight.seen in (Seen.CALLED, Seen.INLINED)]
    assert len(places) > len(outer) / 3
    assert places == sorted(places)


def _place_of(sight: Sight, first: dict[str, int]) -> int:
    names = (sight.function.function,) if sight.seen is Seen.CALLED else sight.shown_by
    return min(first[name] for name in names)


def test_our_function_is_called_as_an_initcall(trace: Trace) -> None:
    """Output of key `load.chain.file`: do_init_module > do_one_initcall > hello_init [hello]."""
    found = trace.load.chain_to("hello_init")
    assert found[-3:] == ("do_init_module", "do_one_initcall", "hello_init")
    ours = next(call for call in trace.load.walk() if call.name == "hello_init")
    assert ours.module == "hello"


def test_the_memory_of_init_is_freed_by_a_worker(bench: Bench, trace: Trace, finding: Note) -> None:
    """Key `load.init-gone`. Freed after init and not by insmod, because symbol lookups may still read it
    (do_init_module()); a worker frees it (do_free_init(); since 5.2, commit 1a7b7d922081)."""
    found = trace.freed.chain_to(later(trace.release)[-1])
    assert found == later(trace.release)
    assert trace.by_file.chain_to("do_free_init") == ()
    # The init symbols exist while init runs, and not afterwards.
    size = "sed -n 's/^gate \\([0-9]*\\) .*/\\1/p' /proc/modules"
    symbols = "grep -E ' gate_(init|exit).\\[gate\\]' /proc/kallsyms | cut -d' ' -f2- | sort"
    printed = bench.as_root(
        "insmod gate.ko & loading=$!; await '[ \"$(cat /sys/module/gate/initstate)\" = coming ]'; "
        f"cat /sys/module/gate/initstate; {size}; {symbols}; echo --; "
        "echo 1 >/sys/module/gate/parameters/open; wait $loading; "
        f"cat /sys/module/gate/initstate; {size}; {symbols}; rmmod gate"
    )
    look = "cat /sys/module/gate/initstate; grep ^gate /proc/modules; grep gate_ /proc/kallsyms"
    during, after = (part.splitlines() for part in printed.split("--\n"))
    assert (during[0], after[0]) == ("coming", "live")
    assert "t gate_init\t[gate]" in during
    assert "t gate_init\t[gate]" not in after
    assert "t gate_exit\t[gate]" in after
    assert int(after[1]) < int(during[1])
    finding(
        "load.init-gone",
        command=f"{_typed('do_free_init', 'insmod hello.ko')}\ninsmod gate.ko & {look}\n"
        f"echo 1 >/sys/module/gate/parameters/open; wait; {look}",
        output=f"{trace.freed}\n\nwhile init runs:\n" + "\n".join(during) + "\nafterwards:\n" + "\n".join(after),
        freed_by=" > ".join(found),
        size_during=int(during[1]),
        size_after=int(after[1]),
    )
