#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/check-layers.sh - no folder includes what lies above it
#
#   include <- mm <- fs <- daemon
#   include/pagefs, include/pagefs_wire.h <- client;  include/pagefs <- examples
#   include/pagefs_wire.h, include/pagefs_swap.h <- client/ctl
#
# A quoted include must be a header of include/ or of the file's own folder
# (mm may not see fs/internal.h, and fs not mm/internal.h). <...> includes of
# the libraries that belong to one layer are refused in the layers below it.
set -u
top=${TOP_SRCDIR:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$top" || exit 99
bad=0

complain() {
	echo "$1"
	bad=1
}

# check_folder FOLDER FORBIDDEN-REGEX
check_folder() {
	local folder=$1 forbidden=$2 file line name

	while IFS=: read -r file line name; do
		case $name in
		\"*)
			name=${name//\"/}
			[ -e "include/$name" ] || [ -e "$folder/$name" ] ||
				complain "$file:$line: \"$name\" is not $folder's to see"
			case $name in
			*..*) complain "$file:$line: \"$name\" climbs out" ;;
			esac
			;;
		*)
			[[ ! $name =~ $forbidden ]] ||
				complain "$file:$line: $name does not belong in $folder"
			;;
		esac
	done < <(grep -HnE '^[[:space:]]*#[[:space:]]*include' "$folder"/*.[ch] \
			2>/dev/null |
		sed -E 's/^([^:]*:[0-9]+:).*include[[:space:]]*(["<][^">]*[">]).*/\1\2/')
}

[ -e include/mm_types.h ] || complain "include/mm_types.h: nothing to check"

# check_client FOLDER ALLOWED-REGEX: what clients may see of include/ and theirs.
check_client() {
	local folder=$1 allowed=$2 file line name

	while IFS=: read -r file line name; do
		case $name in
		\"*)
			[[ $name =~ $allowed ]] ||
				complain "$file:$line: $name is not a client's to see"
			;;
		*)
			name=${name//[<>]/}
			[ ! -e "include/$name" ] || [ -e "/usr/include/$name" ] ||
				[[ "<$name>" =~ $allowed ]] ||
				complain "$file:$line: <$name> is not a client's to see"
			;;
		esac
	done < <(grep -HnE '^[[:space:]]*#[[:space:]]*include' "$folder"/*.[ch] \
			2>/dev/null |
		sed -E 's/^([^:]*:[0-9]+:).*include[[:space:]]*(["<][^">]*[">]).*/\1\2/')
}

lib='<(fuse|uv|liburing|linux/(fuse|io_uring|userfaultfd))'
check_folder include "$lib"
check_folder mm "$lib"
check_folder fs '<(uv|linux/userfaultfd)'
check_folder daemon '^$'
check_client client '^"(internal|preload|sys|pagefs/pagefs|pagefs/malloc|pagefs_wire)\.h"$'
check_client client/ctl '^"(ctl|histogram|tracefile|top|pagefs_swap|pagefs_wire)\.h"$'
check_client examples '^<pagefs/pagefs\.h>$'

[ $bad = 0 ] && echo "layers are in order"
exit $bad
