#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Owners and modes are the caller's when root serves other users.
. "${0%/*}/lib.sh"
need_root
need setpriv

as() {
	local uid=$1
	shift
	setpriv --reuid="$uid" --regid="$uid" --groups="${GROUPS_OF:-$uid}" -- "$@"
}

chmod 755 "$T"
chmod 1777 "$BACK"
start --memory=32M --allow-other
check "a user creates a file" as 12345 sh -c "umask 027; echo mine > '$MNT/f'"
check "it is that user's, with that mode" [ "$(stat -c %u:%g:%a "$MNT/f")" = 12345:12345:640 ]
check "in the backing directory too" [ "$(stat -c %u:%g:%a "$BACK/f")" = 12345:12345:640 ]
for make in "mkdir d" "ln -s f s" "mkfifo p"; do
	check "$make as a user" as 12345 sh -c "cd '$MNT' && $make"
done
check "all are that user's" sh -c "[ \"\$(stat -c %u '$BACK/d' '$BACK/s' '$BACK/p' | sort -u)\" = 12345 ]"
refuse "another user may not read it" "denied" as 999 cat "$MNT/f"
refuse "nor delete it (sticky)" "not permitted" as 999 rm -f "$MNT/f"
refuse "nor change its mode" "not permitted" as 999 chmod 777 "$MNT/f"
mkdir -m 770 "$MNT/team"
chgrp 777 "$MNT/team"
GROUPS_OF=12345,777 check "a member by a supplementary group creates" \
	as 12345 sh -c "echo x > '$MNT/team/by-group'"
check "with his own group" [ "$(stat -c %u:%g "$MNT/team/by-group")" = 12345:12345 ]
chmod 2770 "$MNT/team"
GROUPS_OF=12345,777 check "in a set-gid directory" as 12345 sh -c "echo x > '$MNT/team/sgid'"
check "with the directory's group" [ "$(stat -c %u:%g "$MNT/team/sgid")" = 12345:777 ]
cp /bin/true "$MNT/suid" && chown 12345 "$MNT/suid" && chmod 6755 "$MNT/suid"
check "a write by its owner takes set-id bits away" as 12345 sh -c "echo >> '$MNT/suid'"
check "they are gone" [ "$(stat -c %a "$MNT/suid")" = 755 ]
check "root's chown and chmod" sh -c "chown 1:2 '$MNT/f' && chmod 600 '$MNT/f'"
check "reach the backing file" [ "$(stat -c %u:%g:%a "$BACK/f")" = 1:2:600 ]
stop
