#!/usr/bin/env bash
# Runs a command as root in a user-mode Linux kernel that has netem: the host's file system is its
# root, read-only, and a scratch directory is writable in both. No root is needed outside.
#
#   scripts/netem-uml.sh SCRATCH COMMAND [ARGUMENT...]
#
# The command starts in SCRATCH and has it as HOME and TMPDIR. Its output goes to
# standard output, its exit code becomes this script's. MEMORY (default 1G) is the guest's.
#
# For correctness, not for throughput: one processor, some 40 us a system call.
set -euo pipefail

if [ $# -lt 2 ]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
fi
mkdir -p "$1"
scratch=$(cd "$1" && pwd)
shift

if ! command -v linux.uml > /dev/null; then
    echo "linux.uml was not found: apt-get install user-mode-linux" >&2
    exit 3
fi
insmod=$(PATH=$PATH:/usr/sbin:/sbin command -v insmod) || {
    echo "insmod was not found: apt-get install kmod" >&2
    exit 3
}
# Modules match the kernel: the newest directory is the installed package's.
modules=$(find /usr/lib/uml/modules -mindepth 1 -maxdepth 1 -type d | sort -V | tail -n 1)/kernel

own=$(mktemp -d "$scratch/.uml-XXXXXX")
trap 'rm -rf "$own"' EXIT

# What keeps the guest alive on processors with AMX; see the file.
preload=
if grep -q -m 1 amx_tile /proc/cpuinfo; then
    command -v cc > /dev/null || {
        echo "cc was not found, which this processor (AMX) makes necessary: apt-get install gcc libc6-dev" >&2
        exit 3
    }
    preload=$own/uml-xstate.so
    cc -O2 -shared -fPIC -o "$preload" "$(dirname "$0")/uml-xstate.c" -ldl
fi

# The command, quoted for the guest's shell.
printf '%q ' "$@" > "$own/command"
cat > "$own/init" <<INIT
#!/bin/bash
# The guest's first process.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Files on the scratch directory belong to the user outside, so not what must be root's.
export HOME='$scratch' TMPDIR='$scratch' XDG_RUNTIME_DIR=/run
# Until this mount there is nowhere to write to.
mount -t hostfs -o '$scratch' hostfs '$scratch'
{
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    ln -s /proc/self/fd /dev/fd
    mkdir /dev/shm
    mount -t tmpfs tmpfs /dev/shm
    mount -t tmpfs tmpfs /run
    ip link set lo up
    for module in lib/crc-ccitt net/ipv6/ipv6 net/llc/llc net/802/stp net/bridge/bridge \\
        drivers/net/veth drivers/net/tun net/sched/sch_htb net/sched/sch_netem net/sched/cls_u32; do
        # What is built in has no file.
        if [ -e "$modules/\$module.ko" ]; then
            '$insmod' "$modules/\$module.ko"
        fi
    done
} > '$own/boot' 2>&1 < /dev/null
cd '$scratch'
bash '$own/command' > '$own/output' 2>&1 < /dev/null
echo \$? > '$own/code'
sync
echo o > /proc/sysrq-trigger
sleep 60
INIT
chmod +x "$own/init"

# Its console has the kernel's own messages.
if ! LD_PRELOAD=$preload HOME=$own TMPDIR=$own linux.uml mem="${MEMORY:-1G}" \
    rootfstype=hostfs rootflags=/ ro init="$own/init" uml_dir="$own/" \
    con=null con0=null,fd:1 ssl=null panic=-1 > "$own/console" 2>&1 < /dev/null; then
    echo "the guest ended badly" >&2
fi
cat "$own/output" 2> /dev/null || true
if [ ! -e "$own/code" ]; then
    echo "the command did not run to its end; the end of the guest's console:" >&2
    tail -n 20 "$own/console" >&2
    exit 4
fi
if [ -s "$own/boot" ]; then
    cat "$own/boot" >&2
fi
exit "$(cat "$own/code")"
