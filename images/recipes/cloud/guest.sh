# What the lab does in a cloud image's guest, as root: `sh FILE VERB …`, or `sh FILE run DEVICE VERB …` to have the
# output on a serial port as well, where it outlives the guest. A package manager's verbs stand above.

first() {
  for file; do
    if [ -e "$file" ]; then echo "$file"; return; fi
  done
  echo "none of these is there: $*" >&2
  return 1
}

# RELEASE: how that kernel was configured
config() {
  file=$(first "/boot/config-$1" "/lib/modules/$1/config" "/lib/modules/$1/build/.config")
  cat "$file"
}

# COMMAND…: the first line of each compiler's --version that is there
compilers() {
  for cc; do
    if command -v "$cc" >/dev/null; then "$cc" --version | head -n 1; fi
  done
}

# ARCHIVE: make the guest the lab's
settle() {
  if ! id lab >/dev/null 2>&1; then useradd --create-home --shell /bin/bash lab; fi
  usermod --password '*' lab
  group=$(id -gn lab)
  install -d -m 0755 -o lab -g "$group" /build
  tar -C / --no-same-owner -xf "$1"
  chmod 0440 /etc/sudoers.d/vmlab
  # The keys that cloud-init installed served this boot alone: every later guest receives its lab's keys.
  rm -rf /var/lib/cloud /etc/ssh/ssh_host_* /root/.ssh /home/*/.ssh
  install -d -m 0700 /root/.ssh
  install -d -m 0700 -o lab -g "$group" /home/lab/.ssh
  systemctl enable vmlab-keys.service
  # sudo looks up its own host's name, and nobody would answer.
  if ! grep -qw "$(uname -n)" /etc/hosts; then echo "127.0.1.1 $(uname -n)" >>/etc/hosts; fi
  # A message of the day, made anew by programs at each login, is half of what a fork's first command costs.
  if [ -e /etc/pam.d/sshd ]; then sed -i '/pam_motd/d' /etc/pam.d/sshd; fi

  # cloud-init has done its work, and the address is a unit's of the lab's own.
  touch /etc/cloud/cloud-init.disabled
  mask $(systemctl list-unit-files --type=timer --no-legend --plain | cut -d ' ' -f 1)
  mask NetworkManager.service NetworkManager-dispatcher.service NetworkManager-wait-online.service \
    systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service systemd-resolved.service \
    networking.service ifup@.service network.service wicked.service wickedd.service wickedd-dhcp4.service \
    wickedd-dhcp6.service wickedd-auto4.service wickedd-nanny.service
  mask getty@tty1.service serial-getty@ttyS0.service serial-getty@ttyAMA0.service console-getty.service \
    systemd-timesyncd.service chrony.service chronyd.service ntp.service systemd-pstore.service \
    snapd.service snapd.socket snapd.seeded.service snapd.apparmor.service unattended-upgrades.service \
    apport.service apport-autoreport.service pollinate.service ubuntu-advantage.service ua-reboot-cmds.service \
    multipathd.service multipathd.socket iscsid.socket ModemManager.service udisks2.service packagekit.service \
    fwupd.service kdump.service rpm-ostreed.service qemu-guest-agent.service
  # sshd has the lab's host key alone: making others takes seconds at each boot.
  mask sshd-keygen@.service sshd-keygen.service
  # One that listens in ssh's place starts it anew at the first connection, which a fork then waits for.
  if systemctl is-enabled --quiet ssh.socket 2>/dev/null; then
    systemctl disable ssh.socket
    systemctl enable ssh.service
  fi
  if command -v restorecon >/dev/null; then
    restorecon -R /etc/udev/rules.d /etc/systemd/system /etc/sudoers.d /etc/vmlab /etc/resolv.conf /etc/hosts \
      /root/.ssh /home/lab
  fi
}

# UNIT…: never start; those that are no link were put there by somebody, and are only not started
mask() {
  for unit; do
    place=/etc/systemd/system/$unit
    if [ -e "$place" ] && [ ! -L "$place" ]; then
      systemctl disable "$unit" || true
    else
      ln -sf /dev/null "$place"
    fi
  done
}

# RELEASE DEVICE: write what becomes the image's files to a disk, as a tar
take() {
  machine=$(cat /etc/machine-id)
  kernel=$(first "/boot/vmlinuz-$1" "/lib/modules/$1/vmlinuz" "/boot/Image-$1" "/lib/modules/$1/Image" \
    "/boot/$machine/$1/linux")
  initrd=$(first "/boot/initrd.img-$1" "/boot/initramfs-$1.img" "/boot/initrd-$1" "/boot/$machine/$1/initrd")
  work=$(mktemp -d -p /var/tmp)
  cp -L "$kernel" "$work/kernel"
  cp -L "$initrd" "$work/initrd"
  config "$1" >"$work/config"
  installed >"$work/packages"
  tar -b 512 -cf "$2" -C "$work" kernel initrd config packages \
    -C / --one-file-system --anchored --transform='s,^\./,tools/,S' \
    --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./run/*' --exclude='./tmp/*' \
    --exclude='./var/*' --exclude='./boot/*' --exclude='./home/*' --exclude='./root/*' --exclude='./mnt/*' \
    --exclude='./srv/*' --exclude='./opt/*' --exclude='./build/*' --exclude='./snap' --exclude='./.snapshots' \
    --exclude='./etc/ssh' --exclude='./etc/shadow*' --exclude='./etc/gshadow*' --exclude='./etc/sudoers*' \
    --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale' \
    --exclude='./usr/share/info' --exclude='./usr/share/zoneinfo' --exclude='./usr/lib/locale' \
    --exclude='./usr/lib/firmware' --exclude='./lib/firmware' --exclude='./usr/lib/snapd' \
    --exclude='./usr/lib/modules/*/kernel' --exclude='./lib/modules/*/kernel' \
    --exclude='./usr/lib/python3*' --exclude='./usr/lib64/python3*' --exclude='./usr/bin/perf*' \
    ./
  rm -rf "$work"
  clean
  sync
  # What was freed need not be kept.
  fstrim -a || true
}

if [ "$1" = run ]; then
  device=$2
  shift 2
  ended=$(mktemp)
  # A shell's pipe has the status of its last command: that of the first one takes a way of its own.
  {
    status=0
    sh "$0" "$@" 2>&1 || status=$?
    echo "$status" >"$ended"
  } | tee "$device"
  status=$(cat "$ended")
  rm -f "$ended"
  exit "${status:-1}"
fi
"$@"
