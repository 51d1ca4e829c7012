# SPDX-License-Identifier: MIT
"""Invented reports in the formats of kernels from 5.10 to 7.3, as a serial console shows them."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

import pytest

from vmlab.klog.log import parse_console
from vmlab.klog.splat import Splat, find_reports, find_splats

_END = "---[ end trace 0000000000000000 ]---"
_TRACE = """\
Call Trace:
 <TASK>
 ? __die_body.cold+0x1a/0x1f
 mydrv_read+0x2c/0x60 [mydrv]
 vfs_read+0xa5/0x310
 ksys_read+0x6b/0xf0
 do_syscall_64+0x58/0x80
 entry_SYSCALL_64_after_hwframe+0x6e/0xd8
 </TASK>
"""
_CPU = "CPU: 1 PID: 412 Comm: cat Tainted: G           OE      6.1.0-56-cloud-amd64 #1  Debian 6.1.170-1"
_CPU_73 = "CPU: 1 UID: 1000 PID: 412 Comm: cat Tainted: G           OE       7.3.4+deb13-cloud-amd64 #1 PREEMPT(lazy)"
_CUT = "------------[ cut here ]------------"
_RULER = "=" * 66


class Shape(NamedTuple):
    """A report, and the fields that must be read from it."""

    text: str
    kind: str
    title: str
    module: str = "mydrv"
    location: str = ""
    process: str = "cat[412]"
    frames: tuple[str, ...] = ("mydrv_read", "vfs_read")


def _oops(title: str, *, code: str = "Oops: 0002 [#1] PREEMPT SMP NOPTI", cpu: str = _CPU) -> str:
    registers = "RIP: 0010:mydrv_read+0x2c/0x60 [mydrv]\nRAX: 0000000000000000 RBX: 1"
    return f"{title}\n{code}\n{cpu}\n{registers}\n{_TRACE}{_END}\n"


_SHAPES = {
    "null pointer, 6.1": Shape(
        _oops("BUG: kernel NULL pointer dereference, address: 0000000000000008"),
        "null pointer",
        "address: 0000000000000008",
    ),
    "null pointer, 7.3": Shape(
        _oops(
            "BUG: kernel NULL pointer dereference, address: 0000000000000008",
            code="#PF: supervisor read access in kernel mode\nOops: Oops: 0000 [#1] SMP NOPTI",
            cpu=_CPU_73,
        ),
        "null pointer",
        "BUG: kernel NULL pointer dereference",
    ),
    "page fault": Shape(
        _oops("BUG: unable to handle page fault for address: ffffc90000abc000"), "page fault", "ffffc90000abc000"
    ),
    "general protection, 6.1": Shape(
        _oops(
            "general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP", code=""
        ),
        "general protection",
        "non-canonical address",
    ),
    "general protection, 7.3": Shape(
        _oops(
            "Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1]", code=""
        ),
        "general protection",
        "non-canonical address",
    ),
    "divide error": Shape(_oops("divide error: 0000 [#1] PREEMPT SMP NOPTI", code=""), "divide error", "divide error"),
    "divide error, 7.3": Shape(_oops("Oops: divide error: 0000 [#1] SMP", code=""), "divide error", "divide error"),
    "invalid opcode": Shape(_oops("invalid opcode: 0000 [#1] SMP", code=""), "invalid opcode", "invalid opcode"),
    "int3": Shape(_oops("int3: 0000 [#1] SMP", code=""), "oops", "int3"),
    "stack segment": Shape(_oops("stack segment: 0000 [#1] SMP", code=""), "oops", "stack segment"),
    "double fault": Shape(_oops("double fault: 0000 [#1] SMP", code=""), "double fault", "double fault"),
    "double fault, 5.10": Shape(
        _oops("traps: PANIC: double fault, error_code: 0x0", code=""), "double fault", "error_code", process="cat[412]"
    ),
    "stack guard, 5.10": Shape(
        _oops("BUG: stack guard page was hit at 000000002b5a1f3b (stack is 0000000012..0000000034)", code=""),
        "stack guard hit",
        "stack guard page was hit",
    ),
    "stack guard, 6.1": Shape(
        _oops("BUG: TASK stack guard page was hit at 000000002b5a1f3b (stack is 0000000012..0000000034)", code=""),
        "stack guard hit",
        "TASK stack guard page",
    ),
    "BUG()": Shape(
        f"{_CUT}\nkernel BUG at mydrv.c:77!\n" + _oops("invalid opcode: 0000 [#1] SMP", code=""),
        "BUG",
        "kernel BUG at mydrv.c:77!",
        location="mydrv.c:77",
    ),
    "WARNING, 6.1": Shape(
        f"{_CUT}\nWARNING: CPU: 1 PID: 412 at drivers/misc/mydrv.c:77 mydrv_read+0x2c/0x60 [mydrv]\n{_CPU}\n"
        f"RIP: 0010:mydrv_read+0x2c/0x60 [mydrv]\n{_TRACE}{_END}\n",
        "WARNING",
        "at drivers/misc/mydrv.c:77",
        location="drivers/misc/mydrv.c:77",
    ),
    "WARNING, 7.3": Shape(
        f"{_CUT}\nmy own message\nWARNING: drivers/misc/mydrv.c:77 at mydrv_read+0x2c/0x60 [mydrv], CPU#1: cat/412\n"
        f"{_CPU_73}\nRIP: 0010:mydrv_read+0x2c/0x60 [mydrv]\n{_TRACE}{_END}\n",
        "WARNING",
        "at mydrv_read+0x2c/0x60",
        location="drivers/misc/mydrv.c:77",
    ),
    "WARNING in the kernel, called by the module": Shape(
        f"{_CUT}\nWARNING: CPU: 1 PID: 412 at mm/page_alloc.c:5634 __alloc_pages+0x1b/0x40\n{_CPU}\n"
        f"RIP: 0010:__alloc_pages+0x1b/0x40\n{_TRACE}{_END}\n",
        "WARNING",
        "mm/page_alloc.c:5634",
        location="mm/page_alloc.c:5634",
        frames=("__alloc_pages", "mydrv_read"),
    ),
    "refcount": Shape(
        f"{_CUT}\nrefcount_t: underflow; use-after-free.\n"
        f"WARNING: CPU: 1 PID: 412 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110\n{_CPU}\n"
        f"RIP: 0010:refcount_warn_saturate+0xba/0x110\n{_TRACE}{_END}\n",
        "refcount",
        "refcount_t: underflow; use-after-free.",
        location="lib/refcount.c:28",
        frames=("refcount_warn_saturate", "mydrv_read"),
    ),
    "ODEBUG": Shape(
        f"{_CUT}\nODEBUG: free active (active state 0) object type: timer_list hint: mydrv_timer+0x0/0x10 [mydrv]\n"
        f"WARNING: CPU: 1 PID: 412 at lib/debugobjects.c:505 debug_print_object+0x6e/0xb0\n{_CPU}\n{_TRACE}{_END}\n",
        "ODEBUG",
        "ODEBUG: free active",
        location="lib/debugobjects.c:505",
    ),
    "list corruption": Shape(
        "list_del corruption. next->prev should be ffff88810, but was dead000000000122\n"
        f"{_CUT}\nkernel BUG at lib/list_debug.c:62!\n" + _oops("invalid opcode: 0000 [#1] SMP", code=""),
        "list corruption",
        "list_del corruption",
        location="lib/list_debug.c:62",
    ),
    "KASAN": Shape(
        f"{_RULER}\nBUG: KASAN: slab-out-of-bounds in mydrv_read+0x2c/0x60 [mydrv]\n"
        f"Write of size 1 at addr ffff888104 by task cat/412\n\n{_CPU}\n{_TRACE}\nAllocated by task 412:\n"
        f" kasan_save_stack+0x1e/0x40\n mydrv_open+0x10/0x20 [mydrv]\n{_RULER}\n",
        "KASAN",
        "slab-out-of-bounds in mydrv_read",
    ),
    "KFENCE": Shape(
        f"{_RULER}\nBUG: KFENCE: use-after-free read in mydrv_read+0x2c/0x60 [mydrv]\n\n"
        "Use-after-free read at 0x00000000 (in kfence-#12):\n mydrv_read+0x2c/0x60 [mydrv]\n vfs_read+0xa5/0x310\n\n"
        f"{_CPU}\n{_RULER}\n",
        "KFENCE",
        "use-after-free read",
    ),
    "KCSAN": Shape(
        f"{_RULER}\nBUG: KCSAN: data-race in mydrv_read [mydrv] / mydrv_write [mydrv]\n\n"
        "write to 0xffffffffc0 of 4 bytes by task 412 on cpu 1:\n mydrv_read+0x2c/0x60 [mydrv]\n"
        " vfs_read+0xa5/0x310\n\n"
        f"{_RULER}\n",
        "KCSAN",
        "data-race",
        process="",
    ),
    "UBSAN": Shape(
        f"{_CUT}\nUBSAN: array-index-out-of-bounds in ../drivers/misc/mydrv.c:77:12\nindex 8 is out of range\n{_CPU}\n"
        f"{_TRACE}---[ end trace ]---\n",
        "UBSAN",
        "array-index-out-of-bounds",
        location="drivers/misc/mydrv.c:77",
    ),
    "kmemleak": Shape(
        "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)\n",
        "kmemleak",
        "3 new suspected",
        module="",
        process="",
        frames=(),
    ),
    "lockdep": Shape(
        f"{_RULER}\nWARNING: possible circular locking dependency detected\n6.1.0-56 #1 Tainted: G  OE\n{'-' * 54}\n"
        f"cat/412 is trying to acquire lock:\n{_CPU}\n{_TRACE}",
        "lockdep",
        "possible circular locking dependency",
    ),
    "suspicious RCU": Shape(
        f"{'=' * 29}\nWARNING: suspicious RCU usage\n{_CPU}\n{_TRACE}", "lockdep", "WARNING: suspicious RCU usage"
    ),
    "slab, 6.1": Shape(
        f"{_RULER}=\nBUG kmalloc-64 (Tainted: G    OE     ): Right Redzone overwritten\n{'-' * 77}\n\n{_CPU}\n{_TRACE}",
        "slab corruption",
        "Right Redzone overwritten",
    ),
    "objects remaining": Shape(
        f"BUG mycache (Tainted: G    B   ): Objects remaining in mycache on __kmem_cache_shutdown()\n{_CPU}\n",
        "leaked objects",
        "Objects remaining",
        module="",
        frames=(),
    ),
    "scheduling while atomic": Shape(
        f"BUG: scheduling while atomic: cat/412/0x00000002\nModules linked in: mydrv(OE)\n{_CPU}\n{_TRACE}",
        "scheduling while atomic",
        "cat/412/0x00000002",
    ),
    "sleeping in atomic": Shape(
        f"BUG: sleeping function called from invalid context at include/linux/sched/mm.h:274\n{_CPU}\n{_TRACE}",
        "sleeping in atomic",
        "invalid context",
        location="include/linux/sched/mm.h:274",
    ),
    "soft lockup": Shape(
        f"watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [cat:412]\n{_CPU}\n"
        f"RIP: 0010:mydrv_read+0x2c/0x60 [mydrv]\n{_TRACE}",
        "soft lockup",
        "stuck for 26s",
    ),
    "hard lockup": Shape(
        f"watchdog: Watchdog detected hard LOCKUP on cpu 1\n{_CPU}\nRIP: 0010:mydrv_read+0x2c/0x60 [mydrv]\n{_TRACE}",
        "hard lockup",
        "hard LOCKUP on cpu 1",
    ),
    "RCU stall": Shape(
        "rcu: INFO: rcu_preempt self-detected stall on CPU\nrcu: \t1-....: (5249 ticks this GP) idle=1a2b\n"
        f"NMI backtrace for cpu 1\n{_CPU}\nRIP: 0010:mydrv_read+0x2c/0x60 [mydrv]\n{_TRACE}",
        "RCU stall",
        "rcu_preempt self-detected stall",
    ),
    "expedited RCU stall": Shape(
        "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-.... } 6 jiffies s: 101 root: 0x2/.\n",
        "RCU stall",
        "expedited stalls",
        module="",
        process="",
        frames=(),
    ),
    "hung task": Shape(
        f"INFO: task cat:412 blocked for more than 120 seconds.\n      Tainted: G           OE\n"
        f"task:cat             state:D stack:0     pid:412   ppid:1      flags:0x00004000\n{_TRACE}",
        "hung task",
        "blocked for more than 120 seconds",
    ),
    "stack protector": Shape(
        "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: mydrv_read+0x2c/0x60 [mydrv]\n"
        f"{_CPU}\n{_TRACE}---[ end Kernel panic - not syncing: stack-protector: Kernel stack is corrupted ]---\n",
        "stack corruption",
        "stack-protector",
    ),
    "panic": Shape(
        f"Kernel panic - not syncing: mydrv: out of order\n{_CPU}\n{_TRACE}"
        "---[ end Kernel panic - not syncing: mydrv: out of order ]---\n",
        "panic",
        "mydrv: out of order",
    ),
    "bad init, 6.1": Shape(
        "do_init_module: 'mydrv'->init suspiciously returned 245, it should follow 0/-E convention\n",
        "bad init",
        "returned 245",
        process="",
        frames=(),
    ),
    "bad init, 7.3": Shape(
        "mydrv: init suspiciously returned 244, it should follow 0/-E convention\n",
        "bad init",
        "returned 244",
        process="",
        frames=(),
    ),
    "arm64": Shape(
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008\n"
        "Internal error: Oops: 0000000096000004 [#1] SMP\n"
        f"{_CPU}\npstate: 60400005 (nZCv daif +PAN)\npc : mydrv_read+0x2c/0x60 [mydrv]\nlr : vfs_read+0xa5/0x310\n"
        "sp : ffff80000a\nx29: ffff80000a x28: 0\nCall trace:\n"
        f" mydrv_read+0x2c/0x60 [mydrv] (P)\n vfs_read+0xa5/0x310\n{_END}\n",
        "null pointer",
        "at virtual address",
    ),
}


def _console(text: str, *, prefix: str = "") -> str:
    return "".join(f"[{100 + number / 1000:12.6f}]{prefix} {line}\n" for number, line in enumerate(text.splitlines()))


def _only(text: str) -> Splat:
    (splat,) = find_splats(parse_console(text))
    return splat


@pytest.mark.parametrize("shape", _SHAPES.values(), ids=list(_SHAPES))
def test_a_report_is_read(shape: Shape) -> None:
    splat = _only(_console(f"mydrv: quiet before\n{shape.text}") + "[  900.000000] quiet after\n")
    assert splat.kind == shape.kind
    assert shape.title in splat.title
    assert (splat.module, splat.location, splat.process) == (shape.module, shape.location, shape.process)
    reliable = [frame.name for frame in splat.frames if not frame.is_guess]
    assert tuple(dict.fromkeys(reliable))[: len(shape.frames)] == shape.frames
    assert "quiet" not in "".join(record.text for record in splat.records)


@pytest.mark.parametrize("shape", _SHAPES.values(), ids=list(_SHAPES))
@pytest.mark.parametrize("prefix", ["[  T412]", "[    C1]"])
def test_a_kernel_that_says_who_prints_is_read_alike(shape: Shape, prefix: str) -> None:
    assert _only(_console(shape.text, prefix=prefix)).kind == shape.kind


def test_the_same_fault_has_the_same_fingerprint_wherever_it_is_loaded() -> None:
    text = _SHAPES["null pointer, 6.1"].text
    moved = text.replace("0000000000000008", "ffff888104abcd10").replace("412", "9999")
    assert _only(_console(text)).fingerprint == _only(_console(moved)).fingerprint
    other = text.replace("mydrv_read", "mydrv_write")
    assert _only(_console(text)).fingerprint != _only(_console(other)).fingerprint


def test_a_build_id_behind_the_modules_name_is_no_part_of_it() -> None:
    text = _SHAPES["null pointer, 6.1"].text.replace("[mydrv]", f"[mydrv {'0123456789abcdef' * 2}]")
    assert _only(_console(text)).module == "mydrv"


def test_registers_are_kept_once() -> None:
    registers = _only(_console(_oops("BUG: unable to handle page fault for address: 1") + "RAX: 1\n")).registers
    assert registers.splitlines() == ["RIP: 0010:mydrv_read+0x2c/0x60 [mydrv]", "RAX: 0000000000000000 RBX: 1"]


def test_a_report_between_another_processors_lines_is_found() -> None:
    lines = _console(_SHAPES["null pointer, 6.1"].text).splitlines()
    mixed = "\n".join(f"{line}\n[  100.000500] eth0: link is up" for line in lines)
    splat = _only(mixed)
    assert (splat.kind, splat.module) == ("null pointer", "mydrv")


def test_a_login_prompt_before_the_time_stamp_hides_nothing() -> None:
    assert _only("debian login: " + _console(_SHAPES["panic"].text)).kind == "panic"


_FACTS = """\
mydrv: loading out-of-tree module taints kernel.
mydrv: module verification failed: signature and/or required key missing - tainting kernel
mydrv: module license 'Proprietary' taints kernel.
"""


def test_a_taint_by_the_module_is_a_fact_and_no_trouble() -> None:
    records = parse_console(_console(_FACTS))
    assert find_splats(records) == []
    assert [fact.kind for fact in find_reports(records)] == ["taint notice", "module verification", "taint notice"]


_INNOCENT = textwrap.dedent(
    """\
    mydrv: warning: speed is 5
    mydrv: WARNING: this is the driver's own word
    debug: BUG: is a word in a sentence
    systemd[1]: Oops, something happened
    usb 1-1: New USB device found, idVendor=0000 [#1]
    rcu: Hierarchical RCU implementation.
    slab is a word
    INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.3 msecs
    sysrq: Show Blocked State
    NMI backtrace for cpu 0 skipped: idling at native_safe_halt+0xb/0x10
    Spectre V2 : WARNING: Unprivileged eBPF is enabled
    list_add tail
    """
)


def test_innocent_lines_are_left_alone() -> None:
    assert find_reports(parse_console(_console(_INNOCENT))) == []


SHAPES = [shape.text for shape in _SHAPES.values()]
"""Texts for the tests that damage them."""
