# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C.UTF-8

refresh() {
  systemctl mask --now packagekit.service || true
  zypper --non-interactive --gpg-auto-import-keys refresh
}

# PACKAGE…
add() { zypper --non-interactive --no-refresh install --no-recommends "$@"; }

# PACKAGE: kernels stand beside each other, so to have one is not to have the newest. The small kernel that images come
# with, kernel-default-base, is none of those: it conflicts with the whole one, and without a person who chooses to have
# it taken away zypper gives up (os-autoinst/os-autoinst-distri-opensuse#25951, systemd/mkosi#4055).
add_kernel() {
  zypper --non-interactive --no-refresh install --no-recommends --force-resolution "$@"
  zypper --non-interactive --no-refresh update --no-recommends "$@"
}

# PACKAGE…: those of them that the repositories have
add_wanted() {
  for name; do add "$name" || echo "not in the repositories: $name"; done
}

# PACKAGE: the releases of the kernels that it, or the package that it stands for, brings
releases() {
  {
    rpm -ql "$1" | sed -n 's,^\(/usr\)\{0,1\}/lib/modules/\([^/]*\)/\(vmlinuz\|Image\)$,\2,p'
    rpm -q --requires "$1" | sed -n 's,^kernel-core-uname-r = ,,p'
  } | sort -u
}

installed() { rpm -qa --qf '%{NAME}\t%{VERSION}-%{RELEASE}\n' | sort; }

clean() { zypper clean --all; }

