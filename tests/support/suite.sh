# What the suites in tests/suites are written with: sourced by each, which scripts/test runs.
# A suite prints `ok NAME`, `not ok NAME: why`, `skip NAME: why` or `excepted NAME: why` for each test, one a line.
# shellcheck shell=sh
set -u
: "${TUTTI_TOP:?is set by scripts/test}" "${TUTTI:?}" "${TUTTI_BUILD:?}" "${TUTTI_TEST_DIR:?}" "${TUTTI_TEST_RUN:?}"
cd "$TUTTI_TOP" || exit 1
suite=$(basename "$0")
file_limit=$((${TUTTI_TEST_FILE_TIMEOUT:-300} * ${TUTTI_TEST_PATIENCE:-1}))
LUA_PATH="$TUTTI_TOP/tests/support/?.lua;;"
export LUA_PATH

ok() { printf 'ok %s\n' "$1"; }
not_ok() { printf 'not ok %s: %s\n' "$1" "$2"; }
skip() { printf 'skip %s: %s\n' "$1" "$2"; }
# The whole suite cannot run here.
skip_all() {
    skip "$suite" "$1"
    exit 0
}

# server NAME [LABEL]: waits until tests/support/NAME is up, which is one for the whole run, and takes over the
# variables that it exports. A server that cannot be had here skips LABEL (default: the suite) by
# name; one that should start and does not fails it. Returns 1 in both cases.
server() {
    server_dir=$TUTTI_TEST_RUN/servers/$1
    "$TUTTI_TOP/tests/support/server" "$1"
    case $? in
    0) . "$server_dir/env" ;;
    77)
        skip "${2:-$suite}" "$(cat "$server_dir/up.out")"
        return 1
        ;;
    *)
        cat "$server_dir/up.log"
        not_ok "${2:-$suite}" "tests/support/$1 did not start: $(tail -n 1 "$server_dir/up.log")"
        return 1
        ;;
    esac
}

# spec FILE [PREFIX]: runs one Lua spec in its own tutti. PREFIX goes before each test's name.
spec() {
    spec_name=${2:-}$(basename "$1" .lua)
    spec_out=$(mktemp "$TUTTI_TEST_DIR/spec.XXXXXX")
    TUTTI_TEST_FILE=$1 timeout -k 5 "$file_limit" "$TUTTI" run "$1" >"$spec_out" </dev/null
    spec_code=$?
    # Names get the prefix; what the tests themselves print passes.
    sed -E "s|^(ok\|not ok\|skip\|excepted) |&${2:-}|" "$spec_out"
    case $spec_code in
    0) grep -q '^# done ' "$spec_out" ||
        not_ok "$spec_name" "ended before its t.done()" ;;
    124 | 137) not_ok "$spec_name" "hung: stopped after $file_limit s" ;;
    *) not_ok "$spec_name" "tutti ended with code $spec_code" ;;
    esac
    rm "$spec_out"
}

# specs FOLDER [PREFIX]: every spec in a folder. Names that start with _ are helpers.
specs() {
    for specs_file in "$1"/*.lua; do
        case $specs_file in */_*.lua | *'*'*) continue ;; esac
        spec "$specs_file" "${2:-}"
    done
}

# specs_beside N FOLDER [PREFIX]: the same, N files at a time. What each printed comes at its end, in one piece.
specs_beside() {
    specs_prefix=${3:-} specs_lanes=$1
    set -- "$2"/[!_]*.lua
    # shellcheck disable=SC2016
    printf '%s\0' "$@" | xargs -0 -n 1 -P "$specs_lanes" sh -c '
        . "$TUTTI_TOP/tests/support/suite.sh"
        printed=$(mktemp "$TUTTI_TEST_DIR/printed.XXXXXX")
        spec "$2" "$1" >"$printed" 2>&1
        flock "$TUTTI_TEST_DIR" cat "$printed"
        rm "$printed"' "$suite" "$specs_prefix"
}

# programs KIND: the C programs against a server, tests/integration/test_KIND_*.c.
programs() {
    for program in "$TUTTI_BUILD/tests/test_$1_"*; do
        [ ! -x "$program" ] || "$TUTTI_TOP/tests/support/tap" "$program"
    done
}
