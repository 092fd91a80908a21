#!/bin/sh
# Installs stockade-server as a service of systemd. Repeating it changes only what differs.
set -eu

usage() {
    cat <<'HELP'
Installs stockade-server as a service of systemd: the program, the group stockade, /etc/stockade with
an example configuration and new keys of its own, and a hardened unit. Files of /etc/stockade that
exist are kept. Nothing is downloaded, and the service is not started.

usage: deploy/install.sh [--dry-run] [--root FOLDER] PROGRAM

  PROGRAM         the path of stockade-server, such as target/release/stockade-server
  --root FOLDER   install below this folder instead of /, such as into an image
  --dry-run       print what would change, and change nothing
  --help          print this text

Exit codes: 0 success, 1 failure, 2 usage error.
HELP
}

die() {
    echo "install.sh: $*" >&2
    exit 1
}

root='' program='' dry_run=no
while [ $# -gt 0 ]; do
    case $1 in
    --help)
        usage
        exit 0
        ;;
    --dry-run) dry_run=yes ;;
    --root)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        root=${2%/}
        shift
        ;;
    -*)
        echo "install.sh: unknown option: $1" >&2
        usage >&2
        exit 2
        ;;
    *)
        [ -z "$program" ] || { usage >&2; exit 2; }
        program=$1
        ;;
    esac
    shift
done
[ -n "$program" ] || { usage >&2; exit 2; }
if [ ! -f "$program" ] || [ ! -x "$program" ]; then
    die "$program is not a program; build it: cargo build --release --package stockade-server"
fi
[ "$dry_run" = yes ] || [ "$(id -u)" -eq 0 ] || die "not root; try --dry-run, or sudo"

here=$(cd "$(dirname "$0")" && pwd)

# Prints a command, and runs it unless this is a dry run.
run() {
    echo "+ $*"
    [ "$dry_run" = yes ] || "$@"
}

# Copies a file if the content or the mode of the target differs: replace SOURCE TARGET MODE.
replace() {
    target=$root$2
    if cmp -s "$1" "$target" && [ "$(stat -c %a "$target")" = "$3" ]; then
        echo "  $2 is up to date"
    else
        run install -D --mode="$3" "$1" "$target"
    fi
}

# Writes a secret of 32 random bytes unless the file exists.
secret() {
    if [ -e "$root$1" ]; then
        echo "  $1 is kept"
    else
        echo "+ write 32 random bytes to $1"
        [ "$dry_run" = yes ] || (umask 077 && head -c 32 /dev/urandom | base64 >"$root$1")
    fi
}

echo "program and units:"
replace "$program" /usr/local/bin/stockade-server 755
replace "$here/systemd/stockade-server.service" /etc/systemd/system/stockade-server.service 644
replace "$here/systemd/stockade-server.socket" /etc/systemd/system/stockade-server.socket 644
replace "$here/systemd/sysusers.conf" /usr/lib/sysusers.d/stockade.conf 644
replace "$here/systemd/tmpfiles.conf" /usr/lib/tmpfiles.d/stockade.conf 644

echo "group and folders:"
run systemd-sysusers ${root:+--root="$root"} "$root/usr/lib/sysusers.d/stockade.conf"
run systemd-tmpfiles ${root:+--root="$root"} --create "$root/usr/lib/tmpfiles.d/stockade.conf"

echo "configuration:"
if [ -e "$root/etc/stockade/stockade.toml" ]; then
    echo "  /etc/stockade/stockade.toml is kept"
else
    replace "$here/stockade.toml" /etc/stockade/stockade.toml 640
fi
secret /etc/stockade/credentials/audit.key
if [ -e "$root/etc/stockade/credentials/upstream.key" ]; then
    echo "  /etc/stockade/credentials/upstream.key is kept"
else
    run install --mode=600 /dev/null "$root/etc/stockade/credentials/upstream.key"
fi
# The group and the modes of the files above.
run systemd-tmpfiles ${root:+--root="$root"} --create "$root/usr/lib/tmpfiles.d/stockade.conf"
[ -n "$root" ] || [ ! -d /run/systemd/system ] || run systemctl daemon-reload

cat <<'NEXT'

next:
  1. Edit /etc/stockade/stockade.toml, and write the key of the model server, if it has one, to
     /etc/stockade/credentials/upstream.key.
  2. stockade-server key --file /etc/stockade/keys.yaml --id NAME     # prints the key once
     systemd-tmpfiles --create stockade.conf                          # the group reads the file
  3. systemctl enable --now stockade-server
     stockade-server health --config /etc/stockade/stockade.toml
NEXT
