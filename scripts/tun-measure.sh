#!/usr/bin/env bash
# Measures the TUN router: errors of round trips, bulk TCP, small datagrams, and real loss.
#
#   scripts/tun-measure.sh [LONGHAUL] [SECONDS]
#
# LONGHAUL (default target/release/longhaul) is the program, SECONDS (default 10) how long each bulk
# transfer lasts. Worth something on a quiet machine only; `longhaul doctor` says whether it is one.
# To reach on two cores: at 50 ms errors of 100 us at the median and 500 us at p99; 5 Gbit/s at 0 ms
# and 3 Gbit/s at 50 ms without retransmissions; 100 000 datagrams/s without a drop by the router.
set -euo pipefail
longhaul=${1:-target/release/longhaul}
seconds=${2:-10}
name=measure-$$

command -v iperf3 > /dev/null || {
    echo "iperf3 was not found: apt-get install iperf3" >&2
    exit 3
}
scratch=$(mktemp -d)
trap '"$longhaul" net down --name "$name" > /dev/null 2>&1 || true; rm -rf "$scratch"' EXIT

cat > "$scratch/profile.toml" <<'PROFILE'
format = 1
name = "measure"
description = "Round trips of 50 ms and of none."
source.title = "assumed"
source.date = "2026-11"
source.method = "round numbers, to measure the router with"
regions = [{ name = "near" }, { name = "here" }, { name = "far" }]
links = [
  { between = ["here", "near"], rtt_ms = 0 },
  { between = ["here", "far"], rtt_ms = 50 },
  { between = ["near", "far"], rtt_ms = 50 },
]
PROFILE

# Every figure on a network of its own, so that its report has nothing else in it.
fresh() {
    "$longhaul" net down --name "$name" > /dev/null 2>&1 || true
    "$longhaul" net up "$scratch/profile.toml" --name "$name" > /dev/null
}

transfer() {
    local to=$1
    shift
    "$longhaul" net exec --name "$name" "$to" -- iperf3 --server --one-off > "$scratch/server" 2>&1 &
    local server=$!
    sleep 1
    "$longhaul" net exec --name "$name" here -- iperf3 --client "$to" "$@" > "$scratch/client" 2>&1 ||
        cat "$scratch/client"
    wait "$server" || cat "$scratch/server"
    grep -E 'sender|receiver' "$scratch/client"
}

passed() {
    "$longhaul" net show --name "$name" | grep -E 'packets, late|->|dropped'
}

for to in far near here; do
    fresh
    echo "== round trips from here to $to, every 5 ms, in us above what was asked"
    "$longhaul" net probe --name "$name" here "$to" --count 2000 --interval 5ms > "$scratch/probe"
    sed -n '/"error_us"/,/}/p' "$scratch/probe" | tr -d '\n {}'
    echo
done
for to in near far; do
    fresh
    echo "== bulk TCP to $to"
    transfer "$to" --time "$seconds"
    passed
done
fresh
echo "== datagrams of 128 bytes to far, 100 000 a second"
transfer far --udp --length 128 --bitrate 102.4M --time "$seconds"
passed
fresh
echo "== bulk TCP to near, 1% of packets lost: it is sent again"
"$longhaul" net fault loss 0.01 --name "$name" --link here,near
transfer near --time "$seconds"
passed
