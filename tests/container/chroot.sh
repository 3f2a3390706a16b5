#!/usr/bin/env bash
# The image without a container engine: carries the Containerfile out in chroots of a minimal Debian 12, then runs the
# result as the image would be run: as its user, as process 1, its root file system read-only, without libmagic.
#
# Needs root, debootstrap, unshare and curl, and a way to Debian's and Python's packages. Both are asked for the way
# this machine does it (apt's sources, pip's settings); nothing of that is written down here or stays in the image.
# Takes one to three minutes. Exit code 77: there is no way to Debian's packages, so nothing has been shown. WORK=<folder> keeps the file systems there, and uses the base that is there already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
work=${WORK:-$(mktemp -d)}
worker= unshare=
clean_up() {
  # unshare's own --kill-child does not outlive the change of user
  if [ -n "$unshare" ]; then kill -KILL $(cat "/proc/$unshare/task/$unshare/children") "$unshare" 2>/dev/null || true; fi
  [ -n "${WORK:-}" ] || rm -rf --one-file-system "$work"
}
trap clean_up EXIT
say() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  [ ! -f "$work/log" ] || cat "$work/log" >&2
  exit 1
}
eventually() {  # <seconds> <command...>
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

say "a minimal Debian 12, for the base image"
if [ ! -d "$work/base" ]; then
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
    bookworm "$work/base.part" ${mirror:+"$mirror"} >"$work/debootstrap.log" 2>&1 || {
    tail -n 20 "$work/debootstrap.log" >&2
    echo "debootstrap made no base system: the image was not looked at" >&2
    exit 77
  }
  mv "$work/base.part" "$work/base"
fi
if find "$work/base" -name 'libmagic.so*' | grep -q .; then fail "the base has libmagic: this would prove nothing"; fi
chroot "$work/base" python3 --version

say "the steps of the Containerfile"
rm -rf --one-file-system "$work/builder" "$work/try" "$work/image" "$work/lend" "$work/data" "$work/log"
# How pip finds packages here: its settings as variables, certificates and name servers as files, lent to the RUN steps.
for setting in index-url proxy; do
  name=PIP_$(tr 'a-z-' 'A-Z_' <<<"$setting")
  if value=$(python3 -m pip config get "global.$setting" 2>/dev/null); then export "$name=$value"; fi
done
install -D -m 644 "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" "$work/lend/run/certificates"
install -D -m 644 /etc/resolv.conf "$work/lend/etc/resolv.conf"
install -D -m 644 /etc/hosts "$work/lend/etc/hosts"
LEND="$work/lend" PIP_CERT=/run/certificates \
  KEEP="PIP_INDEX_URL PIP_PROXY PIP_CERT PIP_DEFAULT_TIMEOUT HTTPS_PROXY https_proxy HTTP_PROXY http_proxy NO_PROXY no_proxy" \
  python3 "$here/steps.py" build "$repo/Containerfile" "$repo" "$work/base" "$work"

say "what is in the image"
image=$work/image
du -sh "$image/opt/venv" | cut -f 1
for unwanted in '*/bin/gcc*' '*/bin/cc' '*/opt/venv/*/pip' '*/opt/venv/*/hatchling' '*/wa_worker/dev' '*/.cache/*' '*/opt/build' '*/run/certificates'; do
  if find "$image" -path "$image/usr/lib/python3/dist-packages" -prune -o -path "$unwanted" -print | grep .; then
    fail "not wanted in the image: $unwanted"
  fi
done
sources=$(find "$image/opt/venv/lib" -name '*.py' | wc -l) codes=$(find "$image/opt/venv/lib" -name '*.pyc' | wc -l)
echo "$sources modules, $codes of them byte-compiled"
[ "$codes" -ge $((sources * 99 / 100)) ] || fail "not byte-compiled"

say "wa-worker run, as the image is run"
eval "$(python3 "$here/steps.py" show "$repo/Containerfile" | python3 -c '
import json, shlex, sys
image = json.load(sys.stdin)
print("user=" + shlex.quote(image["user"]), "signal=" + shlex.quote(image["stopsignal"].removeprefix("SIG")))
print("variables=(" + shlex.join(f"{name}={value}" for name, value in image["env"].items()) + ")")
print("entrypoint=(" + shlex.join(image["entrypoint"]) + ")")
print("healthcheck=(" + shlex.join(image["healthcheck"]) + ")")
print("volume=" + shlex.quote(image["volumes"][0]))
')"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
closed=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cp -a "$image$volume" "$work/data"  # an engine fills a new volume so, owner and mode included
variables+=("PORT=$port" "EDGE_BASE_URL=http://127.0.0.1:$closed" "WORKER_SECRET=a-secret-of-this-test")
start() {  # process 1 of its own namespaces; sets $worker to its pid outside
  unshare --mount --pid --fork bash -ec '
    image=$1 data=$2 volume=$3 user=$4
    shift 4
    mount --bind "$image" "$image"
    mount -t proc proc "$image/proc"
    mount -t tmpfs tmpfs "$image/tmp"
    mount -t tmpfs -o nosuid tmpfs "$image/dev"
    for device in null zero random urandom; do touch "$image/dev/$device"; mount --bind "/dev/$device" "$image/dev/$device"; done
    mount --bind "$data" "$image$volume"
    mount -o remount,bind,ro "$image"
    exec chroot --userspec="$user" "$image" env -i "$@"' \
    _ "$image" "$work/data" "$volume" "$user" "${variables[@]}" "${entrypoint[@]}" >>"$work/log" 2>&1 &
  unshare=$!
  eventually 10 grep -q . "/proc/$unshare/task/$unshare/children" || fail "it did not start"
  worker=$(tr -d ' ' <"/proc/$unshare/task/$unshare/children")
}
stop() {  # <signal>; sets $code and $took
  local began=$EPOCHREALTIME
  kill -"$1" "$worker"
  code=0
  wait "$unshare" || code=$?
  worker= unshare=
  took=$(python3 -c "print(f'{$EPOCHREALTIME - $began:.1f}')")
}
in_image() { nsenter --target "$worker" --mount --pid --root --wd setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups env -i "${variables[@]}" "$@"; }

start
eventually 20 grep -q '"event": "working"' "$work/log" || fail "it does not work"
for path in / /health; do
  answer=$(curl -sS --noproxy '*' "http://127.0.0.1:$port$path")
  echo "GET $path: $answer"
  [ "$(tr -d ' \n' <<<"$answer")" = '{"status":"ok","instances":{"connected":0,"connecting":0,"reconnecting":0}}' ] || fail "health"
done
eventually 20 grep -q '"event": "instances not listed"' "$work/log" || fail "the closed proxy was not noticed"
in_image "${healthcheck[@]}" || fail "the image's health check"
echo "the image's health check: healthy"
[ "$(stat -c %u "/proc/$worker")" = "${user%:*}" ] || fail "it does not run as ${user%:*}"
if in_image touch /opt/venv/x 2>/dev/null; then fail "the root file system is not read-only"; fi
[ "$(stat -c '%u %a' "$work/data/auth/@worker/journal.db")" = "${user%:*} 600" ] || fail "the journal is not private"
grep -m 1 -h VmRSS "/proc/$worker/status"
stop "$signal"
echo "SIG$signal: exit code $code after $took s"
[ "$code" = 0 ] || fail "exit code $code"
grep -q '"event": "stopped"' "$work/log" || fail "it did not stop properly"

say "a health check that fails when nothing answers"
if chroot --userspec="$user" "$image" env -i "${variables[@]}" "${healthcheck[@]}" 2>/dev/null; then fail "healthy without a worker"; fi
echo "unhealthy"

say "a second start on the same volume; a volume of somebody else"
start
twice() { [ "$(grep -c '"event": "working"' "$work/log")" = 2 ]; }
eventually 20 twice || fail "no second start"
stop INT
[ "$code" = 0 ] || fail "exit code $code"
chown -R 0:0 "$work/data"
start
code=0
wait "$unshare" || code=$?
worker= unshare=
tail -n 1 "$work/log"
[ "$code" = 1 ] || fail "exit code $code for a volume that cannot be written"
chown -R "$user" "$work/data"  # the remedy of the docs
start
thrice() { [ "$(grep -c '"event": "working"' "$work/log")" = 3 ]; }
eventually 20 thrice || fail "no start on a volume that was handed over"
stop "$signal"
echo "handed over: it starts"

say "the other image: a try, until a message and its answer were seen"
timeout 120 unshare --mount --pid --fork --kill-child bash -ec '
  image=$1
  mount --bind "$image" "$image"
  mount -t proc proc "$image/proc"
  mount -t tmpfs tmpfs "$image/tmp"
  mount -t tmpfs -o nosuid tmpfs "$image/dev"
  for device in null zero random urandom; do touch "$image/dev/$device"; mount --bind "/dev/$device" "$image/dev/$device"; done
  exec chroot --userspec="$2" "$image" env -i PATH=/opt/venv/bin:/usr/bin:/bin HOME=/tmp NEONIZE_BOT_TAG=off \
    wa-worker dev --simulate --once' _ "$work/try" "$user" >"$work/try.log" 2>&1 || { cat "$work/try.log"; fail "the try"; }
grep done "$work/try.log"

say "passed"
