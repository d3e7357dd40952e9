# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# namespace.sh - for tests that bind files of the machine to others
#
# Sourced first of all: root's test starts anew in a mount namespace of its own,
# so what it mounts is seen by nobody else, and goes with it.

if [ -z "${PAGEFS_TEST_NS:-}" ] && [ "$(id -u)" = 0 ]; then
	unshare -m --propagation private true 2>/dev/null || {
		echo "SKIP: no mount namespace to be had here (a chroot?)"
		exit 77
	}
	PAGEFS_TEST_NS=1 exec unshare -m --propagation private "$BASH" "$0"
fi
