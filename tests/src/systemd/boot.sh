# Boots systemd as the first process of namespaces of its own: `boot.sh outer FOLDER GROUP XTASK VSWITCH`, in a new mount namespace.
# Its root is an overlay of this machine's, kept in memory, with so few units as can be; nothing that it does lands outside.
set -e
stage=$1 folder=$2 group=$3 xtask=$4 vswitch=$5
units="basic sysinit shutdown umount final exit network-pre local-fs local-fs-pre multi-user sockets timers paths slices"

# A control group of its own, which becomes the root of what it sees; then the second stage, as process 1.
if [ "$stage" = outer ]; then
    mkdir "$folder"
    mount -t tmpfs machine "$folder"
    cd "$folder"
    mkdir upper work top cgroup units generators etc
    mount -t cgroup2 cgroup cgroup
    mkdir "cgroup/$group"
    echo $$ > "cgroup/$group/cgroup.procs"
    umount cgroup
    mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work top
    exec unshare --cgroup --pid --fork --kill-child sh "$0" inner "$folder" "$group" "$xtask" "$vswitch"
fi

cd top
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup sys/fs/cgroup
mount -t bpf bpf sys/fs/bpf
# No /dev/kmsg: the journal of this machine is no business of the other.
mount -t tmpfs dev dev
for node in null zero full random urandom tty; do
    : > dev/$node
    mount --bind /dev/$node dev/$node
done
mkdir dev/shm dev/pts
mount -t tmpfs run run
mount -t tmpfs tmp tmp
mkdir run/netns run/lab
mount --rbind /run/netns run/netns
: > run/lab/xtask
: > run/lab/vswitch
mount --bind "$xtask" run/lab/xtask
mount --bind "$vswitch" run/lab/vswitch
# systemd raises limits that all machines on this kernel share.
for part in fs kernel vm; do
    mount --bind proc/sys/$part proc/sys/$part
    mount -o remount,bind,ro proc/sys/$part
done
lib=/usr/lib/systemd
[ -d $lib/system ] || lib=/lib/systemd
for unit in $units; do
    cp $lib/system/$unit.target ../units
done
cp $lib/system/systemd-exit.service $lib/system/systemd-journald*.so* $lib/system/systemd-journald.service ../units
mkdir ../units/sockets.target.wants
ln -s ../systemd-journald.socket ../systemd-journald-dev-log.socket ../units/sockets.target.wants
mount --bind ../units .$lib/system
mount --bind ../generators .$lib/system-generators
mount --bind ../etc etc/systemd
: > etc/fstab
mkdir old
pivot_root . old
umount -l old
echo up
exec env -i container=vswitch-lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    $lib/systemd --unit=multi-user.target --log-target=journal --show-status=0
