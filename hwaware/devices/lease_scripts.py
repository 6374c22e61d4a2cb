"""The lease's four steps on the device, in POSIX shell; $1 is hwaware's folder there, $2 the lease's token.

A device's clock is its uptime with the boot's id: it never jumps, and a reboot shows.
"""

_NOW = """
boot=-
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
{ read -r up rest </proc/uptime; } 2>/dev/null || up=$(date +%s)
up=${up%%.*}
"""

# Prints `acquired`, or `held` and five lines: now's boot and uptime, the heartbeat's, whether the folder is
# over a minute old (for a holder that died before its first heartbeat), the token, the holder.
ACQUIRE = (
    _NOW
    + """
lease=$1/lease
umask 077
if refusal=$(mkdir "$lease" 2>&1); then
    if printf '%s\\n' "$2" >"$lease/token" && printf '%s\\n' "$3" >"$lease/holder" &&
        printf '%s %s\\n' "$boot" "$up" >"$lease/heartbeat" && mkdir "$1/work-$2"; then
        echo acquired
        exit 0
    fi
    rm -rf "$lease" "$1/work-$2"
    exit 1
fi
if [ ! -d "$lease" ]; then printf 'refused\\n%s\\n' "$refusal"; exit 0; fi
beat= token= holder= old=
{ read -r beat <"$lease/heartbeat"; } 2>/dev/null
{ read -r token <"$lease/token"; } 2>/dev/null
{ read -r holder <"$lease/holder"; } 2>/dev/null
[ -n "$(find "$lease" -prune -mmin +1 2>/dev/null)" ] && old=old
# Small BusyBoxes have no -mmin: what has no heartbeat gets one here, which will be old in a minute.
[ -n "$beat$old" ] || { printf '%s %s\\n' "$boot" "$up" >"$lease/heartbeat"; } 2>/dev/null
printf 'held\\n%s %s\\n%s\\n%s\\n%s\\n%s\\n' "$boot" "$up" "$beat" "$old" "$token" "$holder"
"""
)

# Only the lease that was judged stale is removed: same token, same heartbeat, one remover at a time.
TAKE_OVER = """
guard=$1/lease.takeover
if ! mkdir "$guard" 2>/dev/null; then
    [ -n "$(find "$guard" -prune -mmin +1 2>/dev/null)" ] && rmdir "$guard"
    exit 0
fi
beat= token=
{ read -r token <"$1/lease/token"; } 2>/dev/null
{ read -r beat <"$1/lease/heartbeat"; } 2>/dev/null
if [ "$token" = "$2" ] && [ "$beat" = "$3" ] && mv "$1/lease" "$1/lease.stale-$4"; then
    rm -rf "$1/lease.stale-$4"
    case $2 in '' | *[!0-9a-f]*) ;; *) rm -rf "$1/work-$2" ;; esac
fi
rmdir "$guard"
"""

# One write and one rename every ten seconds: nothing a measurement would notice.
HEARTBEAT = (
    _NOW
    + """
token=
{ read -r token <"$1/lease/token"; } 2>/dev/null
[ "$token" = "$2" ] || { echo lost; exit 0; }
beat=$1/lease/heartbeat
printf '%s %s\\n' "$boot" "$up" >"$beat.new" && mv -f "$beat.new" "$beat"
"""
)

RELEASE = """
token=
{ read -r token <"$1/lease/token"; } 2>/dev/null
if [ "$token" = "$2" ] && mv "$1/lease" "$1/lease.done-$2"; then rm -rf "$1/lease.done-$2"; fi
rm -rf "$1/work-$2"
"""
