#!/usr/bin/env bash
# Package with this machine and others that ssh reaches, one assistant on each of them.
#
#   workflows/ssh-hosts.sh "HOST1 HOST2 ..." MANIFEST OUTPUT_DIR [further options of PackageDataset]
#
# All need the same files and the same installation under the same paths, and ssh must ask for no
# password. luigid listens on a socket in a folder that only you can enter; ssh carries it to a
# folder of that kind on each host. So it is on no network, and other users do not reach it.
#
# When the run is done, or this script dies however it may, the assistants finish what they are at,
# and leave. A host that fails is done without.
set -euo pipefail

usage='usage: ssh-hosts.sh "HOST1 HOST2 ..." MANIFEST OUTPUT_DIR [OPTIONS]'
read -ra hosts <<<"${1:?$usage}"
manifest=$(realpath "${2:?$usage}")
output=$(realpath -m "${3:?$usage}")
options=("${@:4}")
inputs=(--manifest "$manifest" --output-dir "$output" ${options[@]+"${options[@]}"})

: "${LUIGI_CONFIG_PATH:=$(cd "$(dirname "$0")/../configs" && pwd)/luigi.cfg}"
export LUIGI_CONFIG_PATH

state=$(mktemp -d)
processes=()
clean_up() {
    exec 9>&-
    if [ ${#processes[@]} -gt 0 ]; then
        kill "${processes[@]}" 2>/dev/null || true
        wait "${processes[@]}" 2>/dev/null || true
    fi
    rm -rf "$state"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Refuse wrong inputs before a scheduler is started for them.
spimpack validate "${inputs[@]}"

luigid --unix-socket "$state/luigid.sock" --state-path "$state/state.pickle" \
    --logdir "$state" >"$state/luigid.log" 2>&1 &
luigid=$!
processes+=("$luigid")
for _ in {1..100}; do
    [ -S "$state/luigid.sock" ] && break
    sleep 0.1
done
if ! [ -S "$state/luigid.sock" ]; then
    cat "$state/luigid.log" >&2
    exit 1
fi
echo "luigid: $state/luigid.sock"

# The address of a socket is a URL, with its slashes escaped.
run_at() {
    run=("$(command -v luigi)" --module spimpack_tasks PackageDataset "${inputs[@]}"
        --scheduler-url "http+unix://${1//\//%2F}" --no-lock)
}

# What runs on a host: an assistant, until standard input ends.
# shellcheck disable=SC2016 # the host expands it
assist='"${@:3}" --assistant </dev/null & cat >/dev/null; kill -USR1 $!; wait $!; rm -r "$2"'
assist="export LUIGI_CONFIG_PATH=\$1; $assist"

mkfifo "$state/hold"
exec 9<>"$state/hold"
assistants=()
secure_shell=(ssh -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15
    -o ExitOnForwardFailure=yes)
for host in "${hosts[@]}"; do
    if ! there=$("${secure_shell[@]}" "$host" mktemp -d </dev/null); then
        echo "$host: cannot be reached, so it is done without" >&2
        continue
    fi
    run_at "$there/luigid.sock"
    command=$(printf '%q ' bash -c "$assist" assist "$LUIGI_CONFIG_PATH" "$there" "${run[@]}")
    "${secure_shell[@]}" -R "$there/luigid.sock:$state/luigid.sock" "$host" "$command" \
        <"$state/hold" >"$state/$host.log" 2>&1 9>&- &
    assistants+=($!)
    processes+=($!)
done

run_at "$state/luigid.sock"
"${run[@]}" 9>&- &
main=$!
processes+=("$main")
wait "$main" || echo "luigi: exit code $?"

# The end of their standard input tells the assistants to finish what they are at, and to leave.
exec 9>&-
if [ ${#assistants[@]} -gt 0 ]; then
    wait "${assistants[@]}" || true
fi
processes=("$luigid")

# If luigid or all workers were lost, this does what was left undone; it has nothing to do otherwise.
spimpack package "${inputs[@]}"
