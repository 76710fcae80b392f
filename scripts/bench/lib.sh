# What the rows in scripts/bench/rows are written with: sourced by each, which scripts/bench/run runs.
# A row finds TUTTI (the release binary), BENCH (the folder of the bench programs), DIR (a scratch folder of
# its own, the current one), TOP (the top of the tree), and says
#     title TEXT
#     compare ROUNDS --- LABEL COMMAND ARG… --- LABEL COMMAND ARG…     times them in turn; with a BINARY before, shows
#                                                  how long those that run tutti take beside the same with it
#     wall LABEL / cpu LABEL / peak LABEL          a median of the last compare: ms, ms, KiB
#     figure LABEL VALUE UNIT                      shows a measured value
#     at_most TEXT VALUE LIMIT / at_least TEXT VALUE LIMIT     a budget: ok or OVER
#     missing WHAT WHY                             something that could not be measured
#     resident                                     makes resident.lua: what `require "resident" ()` tells, in KiB
# shellcheck shell=sh
set -eu

title() { printf '\n%s\n' "$*"; }

compare() {
    "$BENCH/compare" "$@" >"$DIR/.compared"
    awk '$5 { printf "  %-34s %12.3f times before\n", $1, $5 }' "$DIR/.compared" | sed 's/\.before / /'
}
column() { awk -v label="$1" -v n="$2" '$1 == label { print $n; found = 1 } END { exit !found }' "$DIR/.compared"; }
wall() { column "$1" 2; }
cpu() { column "$1" 3; }
peak() { column "$1" 4; }

# calc EXPRESSION: arithmetic with fractions.
calc() { awk "BEGIN { printf \"%.6g\", ($1) }"; }

figure() { printf '  %-34s %12.3f %s\n' "$1" "$2" "$3"; }

verdict() { # TEXT VALUE SIGN LIMIT HOLDS
    if [ "$5" = 1 ]; then result=ok; else result=OVER; fi
    printf '  %-34s %12.3f    budget %s %s   %s\n' "$1" "$2" "$3" "$4" "$result"
    [ $result = ok ] || printf '%s: %s: %s, budget %s %s\n' "$(basename "$0")" "$1" "$2" "$3" "$4" >>"$OVER"
}
at_most() { verdict "$1" "$2" '<=' "$3" "$(calc "$2 <= $3")"; }
at_least() { verdict "$1" "$2" '>=' "$3" "$(calc "$2 >= $3")"; }

missing() {
    printf '  %-34s not measured: %s\n' "$1" "$2"
    printf '%s: %s: %s\n' "$(basename "$0")" "$1" "$2" >>"$MISSING"
}

resident() {
    cat >resident.lua <<'END'
local tutti = require "tutti"
return function()
  collectgarbage()
  collectgarbage()
  tutti.sleep "100ms"
  for line in io.lines "/proc/self/status" do
    local kib = line:match "^VmRSS:%s*(%d+)"
    if kib then return tonumber(kib) end
  end
end
END
}
