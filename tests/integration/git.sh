#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A work tree of thousands of files: git clone, git fsck, a build, tar and
# checksums, compared with the backing file system.
. "${0%/*}/lib.sh"
need git tar sha256sum make cc
FILES=${FILES:-2500}

# sums DIR: one line per file, by name.
sums() {
	(cd "$1" && find . -type f ! -path './.pagefs*' -print0 | sort -z | xargs -0 sha256sum)
}

git_() {
	git -c user.name=t -c user.email=t@example.org -c init.defaultBranch=main \
	    -c gc.auto=0 -c safe.directory='*' "$@"
}

mkdir "$T/origin"
(
	cd "$T/origin" || exit 1
	for d in $(seq 50); do
		mkdir -p "dir$d/sub"
		for f in $(seq $((FILES / 50))); do
			head -c $((RANDOM % 20000)) /dev/urandom | base64 >"dir$d/sub/file$f"
		done
	done
	ln -s dir1/sub/file1 link
	cat >prog.c <<-'C'
	#include <stdio.h>
	int main(void) { puts("built here"); return 0; }
	C
	printf 'prog: prog.c\n\tcc -O2 -o $@ prog.c\n' >Makefile
	git_ init -q && git_ add . && git_ commit -qm one
) || fail "cannot make the origin"

start --memory=64M
check "git clone" git_ clone -q --no-hardlinks "$T/origin" "$MNT/clone"
check "git fsck" git_ -C "$MNT/clone" fsck --strict
check "git status is clean" sh -c "[ -z \"\$(git -c safe.directory='*' -C '$MNT/clone' status --porcelain)\" ]"
check "a branch, a change, a merge" sh -c "
	cd '$MNT/clone' && export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@e GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@e
	git checkout -q -b b && echo x >> dir1/sub/file1 && git commit -qam x &&
	git checkout -q main && echo y >> dir2/sub/file2 && git commit -qam y &&
	git merge -q -m merged b && git gc -q && git fsck"
check "make on the mount" make -C "$MNT/clone" prog
check "the program runs" sh -c "'$MNT/clone/prog' | grep -q 'built here'"
# pagefs itself: unpacked, configured and compiled on the mount.
build_self() {
	mkdir "$MNT/self" &&
	tar -C "$TOP_SRCDIR" -cf - --exclude=.git --exclude=build --exclude='_*' \
		--exclude=config.status --exclude='*.o' . | tar -C "$MNT/self" -xf - &&
	mkdir "$MNT/self/o" && cd "$MNT/self/o" &&
	../configure -q && make -s -j2 pagefsd && ./pagefsd --version
}

if [ -x "${TOP_SRCDIR:-}/configure" ]; then
	check "pagefs is built on the mount" build_self
	cd / || exit 1
fi
check "tar out of the mount" tar -C "$MNT/clone" -cf "$T/a.tar" .
check "and into it" sh -c "mkdir '$MNT/untar' && tar -C '$MNT/untar' -xf '$T/a.tar'"
sums "$MNT" >"$T/sums.mnt"
mkdir "$T/ext4" && tar -C "$T/ext4" -xf "$T/a.tar"
sums "$MNT/untar" >"$T/sums.untar"
sums "$T/ext4" >"$T/sums.ext4"
check "the mount and the kernel agree on every file" cmp "$T/sums.untar" "$T/sums.ext4"
stop
sums "$BACK" >"$T/sums.back"
check "the backing directory is what the mount was" cmp "$T/sums.mnt" "$T/sums.back"
check "$(wc -l <"$T/sums.back") files compared" [ "$(wc -l <"$T/sums.back")" -gt $FILES ]
