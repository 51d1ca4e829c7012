# SPDX-License-Identifier: MIT
set -eu
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8

get() {
  apt-get -q -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any -o Acquire::Retries=2 \
    -o Dpkg::Use-Pty=false -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold "$@"
}

# Ask the archives what there is; nothing else of the guest's may do so at the same time.
refresh() {
  systemctl mask --now apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service || true
  if systemctl is-active --quiet unattended-upgrades.service; then
    systemctl stop unattended-upgrades.service || true
  fi
  get update
}

# PACKAGE…
add() { get install --yes --no-install-recommends "$@"; }
add_kernel() { add "$@"; }

# PACKAGE…: those of them that the archives have
add_wanted() {
  there=
  for name; do
    if apt-cache show "$name" >/dev/null 2>&1; then there="$there $name"; else echo "not in the archives: $name"; fi
  done
  if [ -n "$there" ]; then add $there; fi
}

depended() { dpkg-query -W -f '${Depends}, ${Pre-Depends}' "$1" 2>/dev/null | tr ',|' '\n\n' | sed 's/(.*//; s/:.*//; s/ //g'; }

# PACKAGE: the releases of the kernels that it, or what it depends on, brings
releases() {
  for name in "$1" $(depended "$1" | grep '^linux-'); do
    for inner in "$name" $(depended "$name" | grep '^linux-image-'); do
      dpkg-query -L "$inner" 2>/dev/null | sed -n 's,^/boot/vmlinuz-,,p'
    done
  done | sort -u
}

installed() { dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\n' | sed -n 's/^ii *\t//p'; }

clean() {
  apt-get clean
  rm -rf /var/lib/apt/lists/*
}

