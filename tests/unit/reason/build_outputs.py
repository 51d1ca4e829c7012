# SPDX-License-Identifier: MIT
"""Outputs of failed builds, by cause, each with its reason."""

from __future__ import annotations

KERNEL = "/usr/src/linux-headers-6.1.0-56-common"
OUTPUTS = {
    "a compiler's first error": (
        """\
make: Entering directory '/usr/src/linux-headers-6.1.0-56-cloud-amd64'
warning: the compiler differs from the one used to build the kernel
  CC [M]  /build/fib/src/fib.o
/build/fib/src/fib.c: In function 'fib_read':
/build/fib/src/fib.c:41:9: warning: unused variable 'x' [-Wunused-variable]
/build/fib/src/fib.c:42:9: error: 'undeclared' undeclared (first use in this function)
/build/fib/src/fib.c:50:1: error: a second one
make[1]: *** [/usr/src/x/scripts/Makefile.build:250: /build/fib/src/fib.o] Error 1
""",
        "src/fib.c:42: 'undeclared' undeclared (first use in this function)",
    ),
    "a header that is missing": (
        "/build/fib/fib.c:1:10: fatal error: nothing.h: No such file or directory\ncompilation terminated.\n",
        "fib.c:1: nothing.h: No such file or directory",
    ),
    "a warning made an error": (
        """\
/build/fib/fib.c:1:12: error: 'g' defined but not used [-Werror=unused-function]
cc1: all warnings being treated as errors
make[2]: *** [scripts/Makefile.build:250: /build/fib/fib.o] Error 1
""",
        "fib.c:1: 'g' defined but not used [-Werror=unused-function]",
    ),
    "an implicit declaration": (
        """\
/build/fib/fib.c:4:9: error: implicit declaration of function 'strlcpy' [-Werror=implicit-function-declaration]
cc1: some warnings being treated as errors
""",
        "fib.c:4: implicit declaration of function 'strlcpy' [-Werror=implicit-function-declaration]",
    ),
    "a compiler plugin that is missing": (
        """\
  CC [M]  /build/fib/mine.o
cc1: error: cannot load plugin ./scripts/gcc-plugins/structleak_plugin.so: cannot open shared object file
make[2]: *** [scripts/Makefile.build:288: /build/fib/mine.o] Error 1
""",
        "cc1: error: cannot load plugin ./scripts/gcc-plugins/structleak_plugin.so: cannot open shared object file",
    ),
    "an option unknown to this gcc": (
        """\
  CC [M]  mine.o
x86_64-linux-gnu-gcc-12: error: unrecognized command-line option '-fmin-function-alignment=16'
make[3]: *** [/usr/src/k/scripts/Makefile.build:288: mine.o] Error 1
make[2]: *** [/usr/src/k/Makefile:2098: .] Error 2
""",
        "x86_64-linux-gnu-gcc-12: error: unrecognized command-line option '-fmin-function-alignment=16'",
    ),
    "an option unknown to clang": (
        "clang: error: unknown argument: '-fconserve-stack'\nmake[2]: *** [x:1: fib.o] Error 1\n",
        "clang: error: unknown argument: '-fconserve-stack'",
    ),
    "a file that cc1 does not find": (
        "cc1: fatal error: fob.c: No such file or directory\ncompilation terminated.\nmake: *** [x:1: fib.o] Error 1\n",
        "cc1: fatal error: fob.c: No such file or directory",
    ),
    "a forced include that is missing": (
        "<command-line>: fatal error: ./config.h: No such file or directory\ncompilation terminated.\n",
        "<command-line>: fatal error: ./config.h: No such file or directory",
    ),
    "a compiler that was killed": (
        "gcc-12: fatal error: Killed signal terminated program cc1\ncompilation terminated.\n",
        "gcc-12: fatal error: Killed signal terminated program cc1",
    ),
    "a compiler that broke": (
        "during RTL pass: expand\n/build/fib/fib.c:9:1: internal compiler error: Segmentation fault\n",
        "fib.c:9: internal compiler error: Segmentation fault",
    ),
    "a full disk": (
        "/build/fib/fib.c:3:1: fatal error: error writing to /tmp/ccXY.s: No space left on device\n",
        "fib.c:3: error writing to /tmp/ccXY.s: No space left on device",
    ),
    "an instruction that is none": (
        "/build/fib/start.S: Assembler messages:\n/build/fib/start.S:5: Error: no such instruction: `foo'\n",
        "start.S:5: no such instruction: `foo'",
    ),
    "an instruction in the compiler's output": (
        "/tmp/ccab12.s: Assembler messages:\n/tmp/ccab12.s:12: Error: no such instruction: `foo'\n",
        "assembler: no such instruction: `foo'",
    ),
    "an option unknown to the assembler": (
        "as: unrecognized option '--foo'\nmake[2]: *** [x:1: start.o] Error 1\n",
        "as: unrecognized option '--foo'",
    ),
    "a Rust error": (
        "error[E0425]: cannot find value `x` in this scope\n --> fib.rs:3:5\n  |\nerror: aborting due to 1 error\n",
        "cannot find value `x` in this scope",
    ),
    "a library that is missing": (
        """\
  LD [M]  /build/fib/fib.o
ld: cannot find libblob.a: No such file or directory
make[1]: *** [scripts/Makefile.build:484: /build/fib/fib.o] Error 1
""",
        "ld: cannot find libblob.a: No such file or directory",
    ),
    "an object that is none": (
        "/usr/bin/ld:/build/fib/blob.o: file format not recognized; treating as linker script\n"
        "/usr/bin/ld:/build/fib/blob.o:0: syntax error\n",
        "ld:blob.o: file format not recognized; treating as linker script",
    ),
    "a function that is defined twice": (
        "ld: /build/fib/b.o: in function `f':\n"
        "/build/fib/src/fib.c:4: multiple definition of `f'; /build/fib/fib.o:/build/fib/fib.c:3: first defined here\n",
        "src/fib.c:4: multiple definition of `f'; fib.o:fib.c:3: first defined here",
    ),
    "a linker's warning before its error": (
        "ld: warning: fib.o: missing .note.GNU-stack section\nld: NOTE: This is deprecated\nld.lld: error: no input\n",
        "ld.lld: error: no input",
    ),
    "lld's undefined symbol": (
        "ld.lld: error: undefined symbol: blob_init\n>>> referenced by fib.c:3\n",
        "ld.lld: error: undefined symbol: blob_init",
    ),
    "modpost's undefined symbol": (
        'ERROR: modpost: "no_such_symbol" [/build/fib/fib.ko] undefined!\nmake[1]: *** [x] Error 1\n',
        '"no_such_symbol" [fib.ko] undefined!',
    ),
    "modpost's undefined symbol as 4.19 has it": (
        'ERROR: "no_such_symbol" [/build/fib/fib.ko] undefined!\n',
        '"no_such_symbol" [fib.ko] undefined!',
    ),
    "several undefined symbols": (
        'ERROR: modpost: "one" [fib.ko] undefined!\nERROR: modpost: "two" [fib.ko] undefined!\n'
        'ERROR: modpost: "two" [other.ko] undefined!\nERROR: modpost: "three" [fib.ko] undefined!\n',
        '"one" [fib.ko] undefined! (and 2 more)',
    ),
    "a license that is missing": (
        "ERROR: modpost: missing MODULE_LICENSE() in /build/fib/fib.o\nmake[2]: *** [x:1: Module.symvers] Error 1\n",
        "missing MODULE_LICENSE() in fib.o",
    ),
    "a GPL-only symbol": (
        "ERROR: modpost: GPL-incompatible module fib.ko uses GPL-only symbol 'kthread_create_on_node'\n",
        "GPL-incompatible module fib.ko uses GPL-only symbol 'kthread_create_on_node'",
    ),
    "a GPL-only symbol as 5.10 has it": (
        "FATAL: modpost: GPL-incompatible module fib.ko uses GPL-only symbol 'kthread_create_on_node'\n",
        "GPL-incompatible module fib.ko uses GPL-only symbol 'kthread_create_on_node'",
    ),
    "a namespace that is not imported": (
        "WARNING: modpost: missing MODULE_DESCRIPTION() in fib.o\n"
        "ERROR: modpost: module fib uses symbol dma_buf_get from namespace DMA_BUF, but does not import it.\n",
        "module fib uses symbol dma_buf_get from namespace DMA_BUF, but does not import it.",
    ),
    "a section mismatch that is an error": (
        """\
WARNING: modpost: fib: section mismatch in reference: fib_read+0x1 (section: .text) -> setup (section: .init.text)
ERROR: modpost: Section mismatches detected.
Set CONFIG_SECTION_MISMATCH_WARN_ONLY=y to allow them.
make[2]: *** [scripts/Makefile.modpost:145: Module.symvers] Error 1
""",
        "fib: section mismatch in reference: fib_read+0x1 (section: .text) -> setup (section: .init.text)",
    ),
    "objtool's error": (
        """\
fib.o: error: objtool: fib_read+0x1c: return with modified stack frame
fib.o: error: objtool: 1 warning(s) upgraded to errors
make[3]: *** [scripts/Makefile.build:287: fib.o] Error 1
""",
        "fib.o: error: objtool: fib_read+0x1c: return with modified stack frame",
    ),
    "an objtool that failed over a warning": (
        """\
  CC [M]  /build/fib/fib.o
/build/fib/fib.o: warning: objtool: fib_read()+0x1c: unreachable instruction
make[1]: *** [scripts/Makefile.build:252: /build/fib/fib.o] Error 255
""",
        "fib.o: warning: objtool: fib_read()+0x1c: unreachable instruction (fib.o: CC [M] ended with status 255)",
    ),
    "a BTF tool that says why": (
        "  BTF [M] fib.ko\nFAILED: load BTF from vmlinux: Unknown error -22make[1]: *** [x:57: fib.ko] Error 255\n"
        "make[1]: *** Deleting file 'fib.ko'\n",
        "FAILED: load BTF from vmlinux: Unknown error -22",
    ),
    "a BTF tool that says nothing": (
        """\
  LD [M]  /build/fib/fib.ko
  BTF [M] /build/fib/fib.ko
make[1]: *** [scripts/Makefile.modfinal:57: /build/fib/fib.ko] Error 255
make[1]: *** Deleting file '/build/fib/fib.ko'
make: *** [Makefile:1786: modules] Error 2
""",
        "fib.ko: BTF [M] ended with status 255 and printed nothing",
    ),
    "a BTF tool that is missing": (
        """\
/bin/sh: 1: pahole: not found
  BTF [M] /build/fib/fib.ko
/bin/sh: 1: ./tools/bpf/resolve_btfids/resolve_btfids: not found
make[3]: *** [scripts/Makefile.modfinal:60: /build/fib/fib.ko] Error 127
""",
        "/bin/sh: 1: ./tools/bpf/resolve_btfids/resolve_btfids: not found (fib.ko: BTF [M] ended with status 127)",
    ),
    "a program that a script does not find": (
        """\
  GEN     /build/fib/table.h
/build/fib/gen.sh: 3: xxd: not found
make[1]: *** [/build/fib/Kbuild:5: /build/fib/table.h] Error 127
""",
        "gen.sh: 3: xxd: not found (table.h: GEN ended with status 127)",
    ),
    "a script that make does not find": (
        "./gen.sh\nmake[1]: ./gen.sh: No such file or directory\nmake[1]: *** [Makefile:2: table.h] Error 127\n",
        "make[1]: ./gen.sh: No such file or directory (table.h ended with status 127)",
    ),
    "a script that may not be executed": (
        "/bin/sh: 1: ./gen.sh: Permission denied\nmake[1]: *** [Makefile:2: table.h] Error 126\n",
        "/bin/sh: 1: ./gen.sh: Permission denied (table.h ended with status 126)",
    ),
    "a Python script": (
        'Traceback (most recent call last):\n  File "gen.py", line 1, in <module>\n'
        "ModuleNotFoundError: No module named 'foo'\nmake[1]: *** [Makefile:2: table.h] Error 1\n",
        "ModuleNotFoundError: No module named 'foo' (table.h ended with status 1)",
    ),
    "a command that a signal ended": (
        "  LD [M]  /build/fib/fib.ko\nmake[1]: *** [x:1: /build/fib/fib.ko] Segmentation fault\n",
        "fib.ko: LD [M] ended with 'Segmentation fault' and printed nothing",
    ),
    "a silent command after another file's warning": (
        """\
  CC [M]  /build/fib/fib.o
/build/fib/fib.c:3:5: warning: unused variable 'x' [-Wunused-variable]
    3 | int x;
      |     ^
  GEN     /build/fib/table.h
make[1]: *** [/build/fib/Kbuild:5: /build/fib/table.h] Error 1
""",
        "table.h: GEN ended with status 1 and printed nothing",
    ),
    "a makefile that is no makefile": (
        "make: Entering directory '/usr/src/linux-headers-6.1'\n"
        "/build/fib/Makefile:3: *** missing separator.  Stop.\nmake[1]: *** [Makefile:2030: /build/fib] Error 2\n",
        "Makefile:3: *** missing separator",
    ),
    "a recipe before any target": (
        "/build/fib/Kbuild:1: *** recipe commences before first target.  Stop.\n",
        "Kbuild:1: *** recipe commences before first target",
    ),
    "a makefile's own error": (
        "/build/fib/Kbuild:7: *** set KDIR first.  Stop.\n",
        "Kbuild:7: *** set KDIR first",
    ),
    "a makefile that includes what is missing": (
        "/build/fib/Kbuild:1: /build/fib/hal.mk: No such file or directory\n"
        "make[2]: *** No rule to make target '/build/fib/hal.mk'.  Stop.\n",
        "Kbuild:1: hal.mk: No such file or directory",
    ),
    "a source that is missing": (
        "make[2]: *** No rule to make target '/build/fib/none.o', needed by '/build/fib/fib.o'.  Stop.\n"
        "make[1]: *** [/usr/src/k/Makefile:2030: /build/fib] Error 2\n",
        "No rule to make target 'none.o', needed by 'fib.o'",
    ),
    "a make too new for the kernel": (
        """\
make: Entering directory '/usr/lib/modules/6.6.10-1/build'
warning: the compiler differs from the one used to build the kernel
  The kernel was built by: gcc (GCC) 12.1.0
  You are using:           gcc (GCC) 12.1.1
make[2]: *** .NOTINTERMEDIATE and .SECONDARY are mutually exclusive.  Stop.
make[1]: *** [/usr/lib/modules/6.6.10-1/build/Makefile:1913: /build/fib] Error 2
""",
        ".NOTINTERMEDIATE and .SECONDARY are mutually exclusive",
    ),
    "a kernel without headers": (
        "make: *** /lib/modules/6.1.0-56/build: No such file or directory.  Stop.\n",
        "/lib/modules/6.1.0-56/build: No such file or directory",
    ),
    "headers that were not prepared": (
        "\n  ERROR: Kernel configuration is invalid.\n         include/generated/autoconf.h is missing.\n"
        "         Run 'make oldconfig && make prepare' on kernel src to fix it.\n\n"
        "make: *** [Makefile:719: include/config/auto.conf] Error 1\n",
        "Kernel configuration is invalid.",
    ),
    "a kernel without modules": (
        "***\n***  The present kernel configuration has modules disabled.\n"
        '***  To use the module feature, please run "make menuconfig" etc.\n***\n'
        "make: *** [Makefile:1: modules] Error 1\n",
        "The present kernel configuration has modules disabled.",
    ),
    "a clock that is behind": (
        "make[1]: warning:  Clock skew detected.  Your build may be incomplete.\n"
        "make[1]: Warning: File '/build/fib/fib.c' has modification time 5 s in the future\n"
        "  GEN     x.h\nmake[1]: *** [Kbuild:1: x.h] Error 1\n",
        "x.h: GEN ended with status 1 and printed nothing",
    ),
    "two steps side by side": (
        "  CC [M]  /build/fib/a.o\n  CC [M]  /build/fib/b.o\n/build/fib/fib.c:2:1: error: first\n"
        "make[1]: *** Waiting for unfinished jobs....\n/build/fib/src/fib.c:1:1: error: second\n",
        "fib.c:2: first",
    ),
    "an error in the kernel's own header": (
        f"In file included from /build/fib/fib.c:3:\n{KERNEL}/include/linux/x.h:9:2: error: #error no\n",
        f"{KERNEL}/include/linux/x.h:9: #error no",
    ),
    "colours": (
        "\x1b[01m\x1b[K/build/fib/fib.c:7:2:\x1b[m\x1b[K \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[K\x07bad\r\n",
        "fib.c:7: bad",
    ),
    "a directory whose name begins alike": (
        "ld: cannot find /build/fib2/x.o: No such file or directory\n",
        "ld: cannot find /build/fib2/x.o: No such file or directory",
    ),
    "only a last line": ("sh: 1: make: not found\n", "sh: 1: make: not found"),
    "nothing": ("", ""),
    "nothing but make's own": ("make: Entering directory '/x'\nmake: Leaving directory '/x'\n", ""),
}
