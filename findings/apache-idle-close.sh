#!/usr/bin/env bash
# Apache httpd 2.4.71 (Debian 2.4.71-1~deb12u1, event MPM), an idle connection after its KeepAliveTimeout.
# Guess: the server closes its socket, so a request that a client sends after it has seen the end is reset at once.
# Behaviour: the server only ends its own stream (`ap_lingering_close`). For about two seconds it acknowledges and discards
#   what arrives, and the connection is not reset; a client cannot tell from an acknowledgement that its request was read.
# Seen: "after the end: acknowledged True, reset False; 4 s later: reset True"
# Needs apt and Python 3. Everything is in a temporary folder, on loopback.
set -euo pipefail
version=2.4.71-1~deb12u1
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq "apache2-bin=$version" libapr1=1.7.2-3+deb12u1 libaprutil1=1.6.3-1+deb12u1 >/dev/null 2>&1
for package in ./*.deb; do dpkg -x "$package" root; done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir www && echo ok >www/index.html
cat >httpd.conf <<CONF
ServerRoot $folder
ServerName localhost
Listen 127.0.0.1:$port
PidFile $folder/pid
ErrorLog $folder/error.log
DocumentRoot $folder/www
KeepAliveTimeout 1
LoadModule mpm_event_module $folder/root/usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module $folder/root/usr/lib/apache2/modules/mod_authz_core.so
CONF
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu) root/usr/sbin/apache2 -f "$folder/httpd.conf" -DFOREGROUND &
server=$!
seen=$(python3 - "$port" <<'PYTHON'
import fcntl, socket, struct, sys, time

def connect():
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not listen")

def is_reset(client):
    return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

request = b"GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n"
client = connect()
client.sendall(request)
assert client.recv(4096).startswith(b"HTTP/1.1 200")
assert client.recv(4096) == b"", "the end of the idle connection"
client.sendall(request)
time.sleep(0.3)
unacknowledged = struct.unpack("i", fcntl.ioctl(client, 0x5411, b"\0" * 4))[0]
first = f"after the end: acknowledged {unacknowledged == 0}, reset {is_reset(client)}"
time.sleep(4)
try:
    client.sendall(request)
    time.sleep(0.3)
    later = is_reset(client)
except OSError:
    later = True
print(f"{first}; 4 s later: reset {later}")
PYTHON
)
echo "$seen"
[[ $seen == "after the end: acknowledged True, reset False; 4 s later: reset True" ]]
