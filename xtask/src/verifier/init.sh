#!/bin/busybox sh
# What the virtual machine of `cargo xtask verifier --kernel` does: two hosts, a switch, a ping at each hook. Lines in capitals with a
# number behind them are exit codes, and what kernel.rs reads.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
echo "KERNEL $(uname -r)"
for module in /modules/*.ko; do insmod "$module"; done
# The shell would take its own, which know less.
ip=/sbin/ip
ping=/sbin/ping
mkdir -p /run/netns
$ip link set lo up
for host in a b; do
    $ip netns add $host
    $ip link add port-$host type veth peer name eth0 netns $host
    $ip -n $host link set lo up
    $ip -n $host link set eth0 up
done
$ip -n a addr add 10.0.0.1/24 dev eth0
$ip -n b addr add 10.0.0.2/24 dev eth0
vswitch run --no-docker-plugin > /tmp/log 2>&1 &
controller=$!
seconds=0
while [ $seconds -lt 300 ] && ! grep -q ^ready /tmp/log && [ -d /proc/$controller ]; do
    sleep 1
    seconds=$((seconds + 1))
done
grep -q ^ready /tmp/log
echo "LOAD $?"
cat /tmp/log
grep -h verified_insns /proc/$controller/fdinfo/* 2> /dev/null
vswitch port add port-a && vswitch port add port-b
echo "ADD $?"
sleep 2
$ip netns exec a $ping -c 5 -i 0.5 -W 5 10.0.0.2
echo "PING-TC $?"
vswitch port set port-a --hook xdp && vswitch port set port-b --hook xdp
sleep 2
vswitch port show
vswitch --json port show port-a | grep -q '"hook":"xdp"'
echo "XDP $?"
$ip netns exec a $ping -c 5 -i 0.5 -W 5 10.0.0.2
echo "PING-XDP $?"
vswitch trace port-a ffffffffffff02000000000188b500000000
echo "TRACE $?"
vswitch teardown --yes
echo "TEARDOWN $?"
poweroff -f
