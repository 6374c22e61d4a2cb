"""How a command on a device is stopped, in POSIX shell: $1 is its process, $2 that process's group."""

# Stops the group unless this very script is part of it (a server that gives commands no session of their own).
STOP = """
own=
{ read -r pid name state parent own rest </proc/$$/stat; } 2>/dev/null
target=$1
if [ "$2" -gt 1 ] && [ "$2" != "$own" ]; then target=-$2; fi
kill -TERM "$target" 2>/dev/null
tries=0
while [ "$tries" -lt 2 ] && kill -0 "$target" 2>/dev/null; do sleep 1; tries=$((tries + 1)); done
kill -KILL "$target" 2>/dev/null
exit 0
"""
