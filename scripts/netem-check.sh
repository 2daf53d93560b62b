#!/usr/bin/env bash
# Checks a backend against a profile: round trips of every pair of regions within 1 ms of it at the
# median, a partition that drops everything, a loss of 20% that loses about that.
#
#   scripts/netem-check.sh [LONGHAUL] [BACKEND] [PROFILE]
#
# LONGHAUL (default target/release/longhaul) is the program, BACKEND (default netem) what delays
# packets, PROFILE (default aws-5) the links. For netem, without a kernel that has it:
#
#   scripts/netem-uml.sh /tmp/scratch "$PWD/scripts/netem-check.sh" "$PWD/target/release/longhaul"
set -euo pipefail
longhaul=${1:-target/release/longhaul}
backend=${2:-netem}
profile=${3:-aws-5}
name=check-$$
scratch=$(mktemp -d)
trap '"$longhaul" net down --name "$name" > /dev/null 2>&1 || true; rm -rf "$scratch"' EXIT

probe() {
    "$longhaul" net probe --name "$name" "$@" > "$scratch/probe"
}

# Prints a number of the last probe: one of its own, or the quantile of its errors.
lost() {
    awk '/"lost"/ { gsub(/[^0-9]/, "", $2); print $2 }' "$scratch/probe"
}
error_p50() {
    awk '/"error_us"/ { inside = 1 } inside && /"p50"/ { gsub(/[^0-9.-]/, "", $2); print $2 }' \
        "$scratch/probe"
}

"$longhaul" net up "$profile" --name "$name" --backend "$backend" --jitter none
mapfile -t regions < <("$longhaul" net show --name "$name" | awk '$2 ~ /^10\.77\./ { print $1 }')

failed=0
for from in "${regions[@]}"; do
    for to in "${regions[@]}"; do
        # A busy machine delays everything for a while, so a pair has three attempts.
        for attempt in 1 2 3; do
            probe "$from" "$to" --count 60 --interval 10ms
            error=$(error_p50)
            verdict=ok
            if [ "$(lost)" = 0 ] && awk "BEGIN { exit !($error > -1000 && $error < 1000) }"; then
                break
            fi
            verdict=FAILED
        done
        if [ "$verdict" = FAILED ]; then
            failed=$((failed + 1))
        fi
        printf '%-6s %-16s %-16s %9.0f us off at the median, %s lost, attempt %s\n' \
            "$verdict" "$from" "$to" "$error" "$(lost)" "$attempt"
    done
done

pair=${regions[0]},${regions[1]}
"$longhaul" net fault partition --name "$name" --pair "$pair"
probe "${regions[0]}" "${regions[1]}" --count 20 --interval 10ms
if [ "$(lost)" != 20 ]; then
    echo "FAILED a partition let $((20 - $(lost))) of 20 through"
    failed=$((failed + 1))
fi
"$longhaul" net fault heal --name "$name"
"$longhaul" net fault loss 0.2 --name "$name" --link "$pair"
probe "${regions[0]}" "${regions[1]}" --count 500 --interval 2ms
# 100 of 500 in the mean, with a standard deviation of 8.9: five of them either way.
if [ "$(lost)" -lt 55 ] || [ "$(lost)" -gt 145 ]; then
    echo "FAILED a loss of 20% lost $(lost) of 500"
    failed=$((failed + 1))
fi
echo "$failed checks failed"
[ "$failed" = 0 ]
