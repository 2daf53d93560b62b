#!/usr/bin/env bash
# Opens reports in headless Chromium and fails where one does not work: check-report.sh REPORT.html...
# Each page tries its own controls (sorting, filter, hover, both themes, the data it holds), at the
# width of a desktop and of a phone; a message on the console is a failure too. With SCREENSHOTS set
# to a folder, a picture of each page at either width and in either theme is left there.
# CHROMIUM names the browser, by default `chromium`.
set -euo pipefail

browser=${CHROMIUM:-chromium}
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
browse() {
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run \
        --disable-background-networking --user-data-dir="$profile" "$@"
}

failed=0
for report in "$@"; do
    path=$(realpath "$report")
    for width in 1280 500; do
        browse --window-size="$width",900 --virtual-time-budget=5000 --enable-logging=stderr \
            --dump-dom "file://$path#selftest" > "$profile/dom" 2> "$profile/log"
        result=$(grep -o '<html[^>]*data-selftest="[^"]*"' "$profile/dom" | sed 's/.*selftest="//; s/"$//' || true)
        messages=$(grep -c ':CONSOLE' "$profile/log" || true)
        echo "$report at $width pixels: ${result:-did not run}, $messages console messages"
        if [ "$result" != passed ] || [ "$messages" -ne 0 ]; then
            grep ':CONSOLE' "$profile/log" >&2 || true
            failed=1
        fi
    done
    if [ -n "${SCREENSHOTS:-}" ]; then
        mkdir -p "$SCREENSHOTS"
        name=$(basename "$(dirname "$path")")
        for width in 1280 500; do
            for theme in light dark; do
                browse --window-size="$width",9000 --virtual-time-budget=5000 \
                    --screenshot="$(realpath "$SCREENSHOTS")/$name-$width-$theme.png" \
                    "file://$path#$theme" 2> /dev/null
            done
        done
    fi
done
exit "$failed"
