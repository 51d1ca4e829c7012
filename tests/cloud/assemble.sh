# SPDX-License-Identifier: MIT
# Runs outside the chroot ($1), in mmdebstrap's namespace, when everything is installed: makes a disk as publishers lay
# theirs out, which starts from a BIOS and from UEFI. 1: BIOS boot partition, 2: EFI system partition, 3: root.
# RELEASE, SIZE_MIB and RESOLV_CONF are set by the caller; what comes out is in /srv/out.
set -eu
root=$1
work=$(mktemp -d -p "$root/.." vmlab-disk.XXXXXX)
chmod 755 "$work"
trap 'umount "$root/mnt" "$root/srv" 2>/dev/null || true; rm -rf "$work"' EXIT
disk=$work/disk.raw
bios_at=2048          # in sectors of 512 bytes, as all that follow
esp_at=4096
esp_size=131072
root_at=$((esp_at + esp_size))
little() { # NUMBER: as eight bytes, the lowest first
  number=$1
  for _ in 1 2 3 4 5 6 7 8; do
    printf "\\$(printf %03o $((number & 255)))"
    number=$((number >> 8))
  done
}

# What mmdebstrap put in place so that no service starts in the chroot.
if [ -e "$root/sbin/start-stop-daemon.REAL" ]; then
  mv "$root/sbin/start-stop-daemon.REAL" "$root/sbin/start-stop-daemon"
fi
rm -f "$root/usr/sbin/policy-rc.d" "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
rm -f "$root/etc/resolv.conf"
if [ -n "$RESOLV_CONF" ]; then ln -s "$RESOLV_CONF" "$root/etc/resolv.conf"; fi

# The boot loader, for both firmwares: the partition it reads is the third of the disk that it was started from.
mkdir -p "$root/boot/grub"
for platform in i386-pc x86_64-efi; do
  mkdir -p "$root/boot/grub/$platform"
  cp "$root/usr/lib/grub/$platform/"*.mod "$root/usr/lib/grub/$platform/"*.lst "$root/boot/grub/$platform/"
done
needed="part_gpt ext2 normal linux search search_label search_fs_uuid configfile echo test serial minicmd gzio"
chroot "$root" grub-mkimage -O i386-pc -p '(,gpt3)/boot/grub' -o /boot/grub/core.img biosdisk $needed
chroot "$root" grub-mkimage -O x86_64-efi -p '(,gpt3)/boot/grub' -o /boot/grub/bootx64.efi fat $needed
cat >"$root/boot/grub/grub.cfg" <<EOF
serial --unit=0 --speed=115200
terminal_output serial
set timeout=0
menuentry 'Debian' {
  search --no-floppy --label cloudimg-root --set=root
  linux /boot/vmlinuz-$RELEASE root=LABEL=cloudimg-root ro console=tty0 console=ttyS0,115200 net.ifnames=0
  initrd /boot/initrd.img-$RELEASE
}
EOF

# The EFI system partition, with the loader where firmware looks on removable media.
mount --bind "$work" "$root/srv"
truncate -s $((esp_size * 512)) "$work/esp"
chroot "$root" mkfs.vfat -n UEFI /srv/esp >/dev/null
chroot "$root" mmd -i /srv/esp ::/EFI ::/EFI/BOOT
chroot "$root" mcopy -i /srv/esp /boot/grub/bootx64.efi ::/EFI/BOOT/BOOTX64.EFI
cp "$root/usr/lib/grub/i386-pc/boot.img" "$root/boot/grub/core.img" "$work/"
rm "$root/boot/grub/core.img" "$root/boot/grub/bootx64.efi"

# A bind mount without what is mounted below it, so that /proc, /sys and the disk itself stay out of it.
mount --bind "$root" "$root/mnt"
truncate -s "${SIZE_MIB}M" "$work/root.ext4"
chroot "$root" mke2fs -q -t ext4 -L cloudimg-root -d /mnt -E lazy_itable_init=0,lazy_journal_init=0 /srv/root.ext4
umount "$root/mnt"

truncate -s $((root_at * 512 + SIZE_MIB * 1048576 + 1048576)) "$disk"
chroot "$root" sfdisk -q /srv/disk.raw <<EOF
label: gpt
start=$bios_at, size=$((esp_at - bios_at)), type=21686148-6449-6E6F-744E-656564454649
start=$esp_at, size=$esp_size, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
start=$root_at, size=$((SIZE_MIB * 2048)), type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
EOF
umount "$root/srv"
# What grub-bios-setup does on a disk: boot.img's code before the partition table learns where the core is, and the
# core's first sector where its second is (grub-core/boot/i386/pc/boot.S and diskboot.S).
little "$bios_at" | dd of="$work/boot.img" bs=1 seek=92 conv=notrunc status=none
little $((bios_at + 1)) | dd of="$work/core.img" bs=1 seek=500 conv=notrunc status=none
dd if="$work/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
dd if="$work/core.img" of="$disk" bs=512 seek="$bios_at" conv=notrunc status=none
dd if="$work/esp" of="$disk" bs=512 seek="$esp_at" conv=notrunc,sparse status=none
dd if="$work/root.ext4" of="$disk" bs=1M seek=$((root_at / 2048)) conv=notrunc,sparse status=none
mkdir "$root/srv/out"
qemu-img convert -f raw -O qcow2 "$disk" "$root/srv/out/disk.qcow2"
