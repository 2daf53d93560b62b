#!/usr/bin/env bash
# Kills networks with SIGKILL at random instants, set-up included, and demands that nothing is left:
# no process, namespace, mount or file, and the machine's own network as it was.
#
#   scripts/net-kill.sh [COUNT] [LONGHAUL]
#
# COUNT (default 20) networks, LONGHAUL (default target/release/longhaul) the program. The victim is
# in turn the supervisor, the holder, the first process inside, and the keeper.
set -euo pipefail
count=${1:-20}
longhaul=${2:-target/release/longhaul}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# What a network must not change. Other programs of the machine may: run this on a quiet one.
snapshot() {
    ip -d link
    ip address
    ip route show table all
    ip rule
    tc qdisc show
    cut -d ' ' -f 4- /proc/self/mountinfo
    sysctl -a --pattern '^net\.' 2> /dev/null | grep -v -e '_count' -e 'netdev_rss_key' -e 'inet_peer'
}

# The network's processes, oldest first: each is the only child of the one before.
chain() {
    local pid=$1
    while [ -n "$pid" ]; do
        echo "$pid"
        pid=$(pgrep --parent "$pid" | head -n 1 || true)
    done
}

snapshot > "$place/before"
# How many processes there were when one of them was killed; four: the network was up.
stages=()
for number in $(seq "$count"); do
    XDG_RUNTIME_DIR=$place "$longhaul" net up lan-3 --name "kill-$number" --foreground > "$place/output" 2>&1 &
    supervisor=$!
    # Setting up takes some 50 ms: every other network dies about then.
    sleep "0.$(printf %03d $((RANDOM % (number % 2 == 0 ? 500 : 80))))"
    mapfile -t processes < <(chain "$supervisor")
    # Fewer while it is being set up: then the last one there is.
    victim=$(((number - 1) % 4))
    if [ "$victim" -ge "${#processes[@]}" ]; then
        victim=$((${#processes[@]} - 1))
    fi
    stage=${#processes[@]}
    stages[stage]=$((${stages[stage]:-0} + 1))
    kill -KILL "${processes[$victim]}" 2> /dev/null || true
    # The others end by themselves.
    wait "$supervisor" 2> /dev/null || true
    for _ in $(seq 100); do
        left=()
        # Also those that were started just before their parent was killed. Nothing else keeps a
        # namespace: no mount of it is outside, and no descriptor.
        for process in /proc/[0-9]*; do
            if grep -q -s -z -x "XDG_RUNTIME_DIR=$place" "$process/environ"; then
                left+=("${process#/proc/}")
            fi
        done
        files=$(find "$place/longhaul" 2> /dev/null || true)
        if [ "${#left[@]}" = 0 ] && [ -z "$files" ]; then
            break
        fi
        sleep 0.05
    done
    if [ "${#left[@]}" != 0 ] || [ -n "$files" ]; then
        echo "network $number, process $victim of $stage killed: left are ${left[*]} $files" >&2
        exit 1
    fi
done
snapshot > "$place/after"
diff "$place/before" "$place/after"
for stage in "${!stages[@]}"; do
    echo "${stages[stage]} networks killed when $stage of 4 processes ran"
done
echo "nothing is left of $count networks"
