// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/http_page.c - the files of the live page
 *
 *   daemon/http/page.html ... --.incbin--> in the program
 *   dygraph.min.js, .css from where Debian installs them --http_open()--> memory
 *
 * The library is read before there is a mount, and kept: wherever it is mounted,
 * no request of a browser ends in one to ourselves. Without it the page shows
 * all but its line charts, and says why.
 *
 * No locks: constant while requests come.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "http_i.h"
#include "internal.h"

#ifndef PAGEFS_DYGRAPHS_DIR
#define PAGEFS_DYGRAPHS_DIR "/usr/share/javascript/dygraphs"
#endif
#ifndef PAGEFS_PAGE_DIR
#define PAGEFS_PAGE_DIR "daemon/http"
#endif

/* The library has 132 KB; arbitrary. */
#define MAX_LIBRARY_BYTES	(4 * (size_t)SZ_1M)

#define EMBED(symbol, name)						\
	__asm__(".pushsection .rodata\n"				\
		#symbol ": .incbin \"" PAGEFS_PAGE_DIR "/" name "\"\n"	\
		#symbol "_end: .byte 0\n"				\
		".popsection\n");					\
	extern const char symbol[], symbol##_end[]

EMBED(page_html, "page.html");
EMBED(page_css, "page.css");
EMBED(page_js, "page.js");
EMBED(timeline_js, "timeline.js");
EMBED(icon_svg, "icon.svg");

#define HTML	"text/html; charset=utf-8"
#define CSS	"text/css; charset=utf-8"
#define JS	"text/javascript; charset=utf-8"
#define SVG	"image/svg+xml"

static const struct {
	const char *path, *type, *data, *end;
} embedded[] = {
	{ "/", HTML, page_html, page_html_end },
	{ "/page.css", CSS, page_css, page_css_end },
	{ "/page.js", JS, page_js, page_js_end },
	{ "/timeline.js", JS, timeline_js, timeline_js_end },
	{ "/icon.svg", SVG, icon_svg, icon_svg_end },
};

static const struct {
	const char *path, *type, *name;
} library[] = {
	{ "/lib/dygraph.js", JS, "dygraph.min.js" },
	{ "/lib/dygraph.css", CSS, "dygraph.min.css" },
};

static struct http_file files[ARRAY_SIZE(embedded) + ARRAY_SIZE(library)];

/* @len bytes, from malloc. Return: NULL and errno. */
static char *read_all(int fd, size_t len)
{
	char *data = malloc(len + 1);
	size_t done = 0;
	ssize_t n;

	while (data && done < len) {
		n = read(fd, data + done, len - done);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (!n)
			errno = EIO;		/* it has become shorter */
		free(data);
		return NULL;
	}
	return data;
}

/* The contents of @path. Return: NULL and errno. */
static char *read_file(const char *path, size_t *lenp)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data = NULL;
	struct stat st;
	int err;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st)) {
		*lenp = (size_t)st.st_size;
		errno = EFBIG;
		if (*lenp <= MAX_LIBRARY_BYTES)
			data = read_all(fd, *lenp);
	}
	err = errno;
	close(fd);
	errno = err;
	return data;
}

static void read_library(size_t i, struct http_file *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", PAGEFS_DYGRAPHS_DIR,
		 library[i].name);
	*file = (struct http_file){
		.path = library[i].path, .type = library[i].type,
	};
	file->data = read_file(path, &file->len);
	if (!file->data)
		log_msg(LOG_WARNING, "%s: %s; the live page will lack its line charts",
			path, strerror(errno));
}

void http_page_init(void)
{
	struct http_file *file = files;

	for (size_t i = 0; i < ARRAY_SIZE(embedded); i++)
		*file++ = (struct http_file){
			.path = embedded[i].path, .type = embedded[i].type,
			.data = embedded[i].data,
			.len = (size_t)(embedded[i].end - embedded[i].data),
		};
	for (size_t i = 0; i < ARRAY_SIZE(library); i++)
		read_library(i, file++);
}

void http_page_exit(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(library); i++)
		free((void *)files[ARRAY_SIZE(embedded) + i].data);
	memset(files, 0, sizeof(files));
}

const struct http_file *http_page_find(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (files[i].path && !strcmp(path, files[i].path))
			return &files[i];
	return NULL;
}
