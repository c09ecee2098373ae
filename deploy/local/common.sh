# Sourced by the scripts beside it: names in, folders, locks, packages and process checks out.
# shellcheck shell=bash disable=SC2154 # the script that sources this sets service
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
local_dir=${LOCKSTEP_LOCAL_DIR:-$checkout/.local}
mkdir -p "$local_dir"
local_dir=$(cd "$local_dir" && pwd)
dir=$local_dir/$service
mkdir -p "$dir"

say() { printf '%s: %s\n' "$service" "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# One install, start or stop of a service at a time; the lock goes with the process that holds it.
lock() {
  exec 9>"$dir/lock"
  flock --nonblock 9 && return
  say "another command is working on this service; waiting for it"
  flock 9
}

may_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# anyhow COMMAND...: as root where that is allowed, else as who we are; for what a service owns.
anyhow() {
  if may_be_root; then as_root "$@"; else "$@"; fi
}

may_install() { command -v apt-get >/dev/null && may_be_root; }

# apt ARGUMENT...: one apt at a time, its words in a log.
apt() {
  (
    flock 8
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 "$@"
  ) 8>"$local_dir/apt.lock" >>"$dir/apt.log" 2>&1 9>&- </dev/null
}

# patiently WHAT COMMAND...: runs the command, and says every ten seconds that it still does.
patiently() {
  local what=$1 began=$SECONDS code=0 ticker
  shift
  # The sleep holds no stream of ours, and nothing outlives this shell for long.
  (while sleep 10 >/dev/null 2>&1 && kill -0 $$; do say "still $what, $((SECONDS - began)) s"; done) \
    9>&- </dev/null &
  ticker=$!
  "$@" || code=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  return "$code"
}

apt_install() { apt update && apt install --no-install-recommends "$@"; }

# install_packages PACKAGE...: with apt where that is allowed, else one sentence.
install_packages() {
  may_install ||
    die "these packages are missing: $*; install them as root (apt-get install $*), then run this again"
  say "installing $* with apt"
  patiently "installing with apt" apt_install "$@" ||
    die "apt could not install $*; the reason is in $dir/apt.log"
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# choose_port FILE: the port remembered in FILE while it is free, else a new one, remembered.
choose_port() {
  local port
  port=$(cat "$1" 2>/dev/null || true)
  until [ -n "$port" ] && port_is_free "$port"; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000)) # below the ports systems lend to clients
  done
  echo "$port" >"$1"
  echo "$port"
}

# works_in PID FOLDER: whether that process has that very folder as its working directory, which
# a service of ours has and a stranger that was given the same pid later has not.
works_in() {
  [ -n "$1" ] && [ "$1" -gt 1 ] 2>/dev/null || return 1
  local there here
  there=$(stat -Lc %d:%i "/proc/$1/cwd" 2>/dev/null || anyhow stat -Lc %d:%i "/proc/$1/cwd" 2>/dev/null) ||
    return 1
  here=$(stat -c %d:%i "$2" 2>/dev/null || anyhow stat -c %d:%i "$2" 2>/dev/null) || return 1
  [ "$there" = "$here" ]
}

# wait_until SECONDS COMMAND...: tries the command ten times a second; 1 when the time is over.
wait_until() {
  local tries=$(($1 * 10))
  shift
  until "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.1
  done
}

# publish KEY=VALUE...: replaces those lines of stack.env, readable by its owner only.
publish() {
  (
    flock 8
    umask 077
    local keys
    keys=$(printf '%s\n' "$@" | cut -d= -f1 | paste -sd'|')
    {
      grep -Ev "^($keys)=" "$local_dir/stack.env" 2>/dev/null || true
      printf '%s\n' "$@"
    } >"$local_dir/stack.env.part"
    mv "$local_dir/stack.env.part" "$local_dir/stack.env"
  ) 8>"$local_dir/stack.lock"
}

# main VERB: the verbs both scripts share; each gives a function verb_VERB.
main() {
  case ${1-} in
    install | start | stop | purge)
      lock
      "verb_$1"
      ;;
    status | check) "verb_$1" ;;
    *) die "usage: deploy/local/$service check|install|start|stop|status|purge" ;;
  esac
}
