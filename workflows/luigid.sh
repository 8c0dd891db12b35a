#!/usr/bin/env bash
# Package with a central scheduler, one worker and two assistants, all on this machine.
#
#   workflows/luigid.sh MANIFEST OUTPUT_DIR [further options of PackageDataset]
#
# luigid listens on 127.0.0.1 only: whoever can connect to it can run code as you. Its port is one
# that is free, its state lies in a temporary folder, and nothing is left running at the end.
set -euo pipefail

manifest=${1:?usage: luigid.sh MANIFEST OUTPUT_DIR [OPTIONS]}
output=${2:?usage: luigid.sh MANIFEST OUTPUT_DIR [OPTIONS]}
options=("${@:3}")
inputs=(--manifest "$manifest" --output-dir "$output" ${options[@]+"${options[@]}"})

: "${LUIGI_CONFIG_PATH:=$(cd "$(dirname "$0")/../configs" && pwd)/luigi.cfg}"
export LUIGI_CONFIG_PATH

state=$(mktemp -d)
processes=()
clean_up() {
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

port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
luigid --address 127.0.0.1 --port "$port" --state-path "$state/state.pickle" \
    --logdir "$state" --pidfile "$state/luigid.pid" >"$state/luigid.log" 2>&1 &
luigid=$!
processes+=("$luigid")
for _ in {1..100}; do
    (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.1
done
echo "luigid: http://127.0.0.1:$port"

run=(luigi --module spimpack_tasks PackageDataset "${inputs[@]}"
    --scheduler-host 127.0.0.1 --scheduler-port "$port" --no-lock)
assistants=()
for number in 1 2; do
    "${run[@]}" --assistant >"$state/assistant-$number.log" 2>&1 &
    assistants+=($!)
    processes+=($!)
done
"${run[@]}" &
main=$!
processes+=("$main")
wait "$main" || echo "luigi: exit code $?"

# Assistants wait for ever; this tells them to finish what they are at, and to leave.
kill -USR1 "${assistants[@]}" 2>/dev/null || true
wait "${assistants[@]}" || true
processes=("$luigid")

# If luigid or all workers were lost, this does what was left undone; it has nothing to do otherwise.
spimpack package "${inputs[@]}"
