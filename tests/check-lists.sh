#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/check-lists.sh - Makefile.am names every file there is
#
# A source that is not listed is missing from the tarball, which the variants
# would notice; a test that is not listed is just never run.
set -u
top=${TOP_SRCDIR:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$top" || exit 99

listed() {
	local name=$1

	grep -qF "	$name " Makefile.am ||
	# a test program is named without its .c
	grep -qF "	${name%.c} " Makefile.am
}

bad=0
while read -r file; do
	listed "$file" || { echo "$file is not in Makefile.am"; bad=1; }
done < <(find include mm fs daemon client examples tests bench scripts doc \
		-type f \
		\( -name '*.[ch]' -o -name '*.sh' -o -name '*.8' -o -name '*.1' \
		   -o -name '*.3' -o -name '*.bash' -o -name '*.map' -o -name '*.md' -o -name '*.supp' \
		   -o -name '*.html' -o -name '*.css' -o -name '*.js' -o -name '*.svg' \
		   -o -name '*.py' -o -name '*.txt' \) \
		2>/dev/null | sort)

[ $bad = 0 ] && echo "every file is listed"
exit $bad
