# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# bench/cgroup.sh - a control group that limits memory, of version 2 or 1
#
# Sourced. make_cgroup MIB sets $cgroup, which the caller removes with rmdir when
# its processes have ended. Swap is not limited in it.

cgroup=''

cgroup_v2() {
	local root
	root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
	[ -n "$root" ] && grep -qw memory "$root/cgroup.controllers" || return 1
	grep -qw memory "$root/cgroup.subtree_control" ||
		echo +memory >"$root/cgroup.subtree_control" || return 1
	mkdir "$root/pagefs-bench.$$" || return 1
	cgroup=$root/pagefs-bench.$$
	echo "${1}M" >"$cgroup/memory.max"
}

cgroup_v1() {
	local root
	root=$(awk '$3 == "cgroup" && $4 ~ /(^|,)memory(,|$)/ { print $2; exit }' \
		/proc/self/mounts)
	[ -n "$root" ] && mkdir "$root/pagefs-bench.$$" || return 1
	cgroup=$root/pagefs-bench.$$
	echo "${1}M" >"$cgroup/memory.limit_in_bytes"
}

make_cgroup() {
	cgroup_v2 "$1" 2>/dev/null || cgroup_v1 "$1"
}
