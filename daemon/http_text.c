// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/http_text.c - characters in what is served
 *
 *   name of a file: any bytes --> JSON, labels of metrics: UTF-8
 *
 * No locks.
 */
#include <stdio.h>
#include <string.h>

#include "http_i.h"

/* RFC 3629. The end of the string is no byte that goes on. */
unsigned int http_utf8_len(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned int n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 :
			 s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	for (unsigned int i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void http_put_json(FILE *f, const char *s)
{
	unsigned int n;

	fputc('"', f);
	for (; *s; s += max(n, 1u)) {
		n = http_utf8_len(s);
		if (!n)		/* as in the trace */
			fprintf(f, "\\udc%02x", (unsigned char)*s);
		else if ((unsigned char)*s < ' ')
			fprintf(f, "\\u%04x", *s);
		else if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else
			fwrite(s, 1, n, f);
	}
	fputc('"', f);
}
