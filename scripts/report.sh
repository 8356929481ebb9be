# Sourced by the other scripts: says what is being done and how long it took.

say() { printf '%s: %s\n' "$(basename "$0")" "$*"; }

# step TITLE COMMAND...: runs the command and reports its time; a failing command ends the script.
step() {
    local title=$1 begin=$SECONDS status=0
    shift
    say "$title ..."
    "$@" || status=$?
    if [ "$status" -ne 0 ]; then
        say "$title: FAILED (exit $status) after $((SECONDS - begin)) s" >&2
        exit "$status"
    fi
    say "$title: done in $((SECONDS - begin)) s"
}
