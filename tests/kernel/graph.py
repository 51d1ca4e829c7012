# SPDX-License-Identifier: MIT
"""The kernel's function graph: set up the tracer, and parse its output into call trees."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

TRACING = "/sys/kernel/tracing"
_LINE = re.compile(r"^\s*(?P<task>\S.*?-\d+)\s+\|(?P<call>.*)$")
_CALL = re.compile(r"^(?P<name>[\w.]+)(?: \[(?P<module>\w+)\])?\((?:.*)\)(?P<end>;| \{)(?:\s*/\*.*\*/)?$")
_MARK = re.compile(r"^/\* (?P<text>.*) \*/$")
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm)\b.*$")


@dataclass(slots=True)
class Call:
    """One function call, and the traced calls made in it."""

    name: str
    """Name as in the source, without the compiler's suffix (`.isra.0`)."""
    module: str = ""
    """Module name; empty for the kernel image."""
    calls: list[Call] = field(default_factory=list)

    def walk(self) -> Iterator[Call]:
        """This call and all calls in it, in call order."""
        yield self
        for call in self.calls:
            yield from call.walk()

    def chain_to(self, name: str) -> tuple[str, ...]:
        """Names from this call to the first call of `name` in it; empty when there is no such call."""
        if self.name == name:
            return (self.name,)
        for call in self.calls:
            chain = call.chain_to(name)
            if chain:
                return (self.name, *chain)
        return ()

    def __str__(self) -> str:
        """The call as the tracer prints it, with repeated calls shown once."""
        return "\n".join(self._lines(0))

    def _lines(self, depth: int) -> Iterator[str]:
        indent, where = "  " * depth, f" [{self.module}]" if self.module else ""
        if not self.calls:
            yield f"{indent}{self.name}(){where};"
            return
        yield f"{indent}{self.name}(){where} {{"
        for lines, alike in itertools.groupby(tuple(call._lines(depth + 1)) for call in self.calls):
            times = sum(1 for _ in alike)
            yield f"{lines[0]}  /* {times} times */" if times > 1 else lines[0]
            yield from lines[1:]
        yield f"{indent}}}"


def parse_graph(text: str) -> dict[str, list[Call]]:
    """Parse a trace into its outermost calls, by the text written to `trace_marker` before them; any task counts.

    The trace must have been made with `funcgraph-proc` and without `funcgraph-cpu` and `funcgraph-duration`.
    """
    found: dict[str, list[Call]] = {}
    open_calls: dict[str, list[Call]] = {}
    mark = ""
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        stack, call = open_calls.setdefault(match["task"], []), match["call"].strip()
        marked, made = _MARK.match(call), _CALL.match(call)
        if call.startswith("}"):
            if stack:
                stack.pop()
        elif marked is not None:
            mark = marked["text"].strip()
        elif made is not None:
            new = Call(name=_SUFFIX.sub("", made["name"]), module=made["module"] or "")
            (stack[-1].calls if stack else found.setdefault(mark, [])).append(new)
            if made["end"] != ";":
                stack.append(new)
    return found


def trace_script(commands: str, *, roots: Sequence[str], functions: Sequence[str], modules: Sequence[str] = ()) -> str:
    """A root shell script that runs `commands` while tracing `functions`, and all functions of the not yet loaded
    `modules`, below `roots`. `print_trace` in `commands` prints and clears the trace: a module's functions have names
    only while it is loaded. The tracer's settings are always restored.

    All functions must exist in the kernel: see `which_script`.
    """
    names = " ".join(functions)
    cached = "".join(f"; echo {shlex.quote(f'*:mod:{name}')} >>set_ftrace_filter" for name in modules)
    return f"""
T={TRACING}
put_back() {{
    cd $T
    for option in nofuncgraph-proc funcgraph-cpu funcgraph-duration funcgraph-irqs; do echo $option >trace_options; done
    echo nop >current_tracer; echo >set_ftrace_filter; echo >set_graph_function
    echo 1 >tracing_on; echo >trace
}}
trap put_back EXIT
( cd $T && echo 0 >tracing_on && echo >trace \\
    && echo {names} >set_ftrace_filter{cached} \\
    && echo {" ".join(roots)} >set_graph_function \\
    && echo function_graph >current_tracer \\
    && for option in funcgraph-proc nofuncgraph-cpu nofuncgraph-duration nofuncgraph-irqs; do
           echo $option >trace_options || exit; done \\
    && echo 1 >tracing_on ) || exit 1
print_trace() {{ cat $T/trace; echo >$T/trace; }}
{commands}
"""


def which_script(names: Sequence[str]) -> str:
    """A shell script that prints the traceable functions among these names, one per line, then `--`, then those in the
    symbol table. Names include a compiler's suffix."""
    pattern = rf"({'|'.join(names)})(\.[a-z]+\.[0-9]+)*"
    return (
        f"grep -Ewo '^{pattern}( |$)' {TRACING}/available_filter_functions | sort -u; echo --; "
        f"grep -Eo ' [tTwW] {pattern}$' /proc/kallsyms | cut -d' ' -f3 | sort -u"
    )


def source_name(symbol: str) -> str:
    """The function name as in the source."""
    return _SUFFIX.sub("", symbol)
