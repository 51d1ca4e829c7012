// SPDX-License-Identifier: MIT OR GPL-2.0
#error the user program of a default target is not built
