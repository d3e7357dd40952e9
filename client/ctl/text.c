// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/text.c - names and numbers for people
 *
 * Sizes are in powers of 1024 with one digit behind the point below 100, so that
 * a column of them is narrow and can still be compared.
 *
 * A name may be any bytes. What would move the cursor, end the line, or is no
 * UTF-8, is shown as \ooo, as the daemon does it with blanks; then a backslash
 * has to be, too, or a name could look like another.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl.h"

/* ---- numbers ---- */

const char *size_text(uint64_t kb, char *buf)
{
	static const char units[] = "KMGTPE";
	double value = (double)kb;
	unsigned int unit = 0;

	/* 999.95 would become 1000.0. */
	while (value >= 999.5 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	if (!kb)
		snprintf(buf, SIZE_TEXT, "0");
	else if (unit && value < 99.95)
		snprintf(buf, SIZE_TEXT, "%.1f%c", value, units[unit]);
	else
		snprintf(buf, SIZE_TEXT, "%.0f%c", value, units[unit]);
	return buf;
}

const char *time_text(double seconds, char *buf)
{
	unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;
	unsigned long days = s / 86400 % 100000;
	unsigned int h = s / 3600 % 24, min = s / 60 % 60, sec = s % 60;

	if (days)
		snprintf(buf, SIZE_TEXT, "%lud %u:%02u:%02u", days, h, min, sec);
	else
		snprintf(buf, SIZE_TEXT, "%u:%02u:%02u", h, min, sec);
	return buf;
}

/* @value of 1/1000 of @unit, which is a letter or "". */
static const char *milli_text(uint64_t value, const char *small,
			      const char *unit, char *buf)
{
	if (value < 1000)
		snprintf(buf, SIZE_TEXT, "%u%s", (unsigned int)value, small);
	else if (value < 99950)
		snprintf(buf, SIZE_TEXT, "%.1f%s", (double)value / 1e3, unit);
	else
		snprintf(buf, SIZE_TEXT, "%.0f%s", (double)value / 1e3, unit);
	return buf;
}

const char *age_text(uint64_t ms, char *buf)
{
	return milli_text(ms, "ms", "s", buf);
}

const char *us_text(uint64_t us, char *buf)
{
	return us < 1000000 ? milli_text(us, "us", "ms", buf) :
		milli_text(us / 1000, "ms", "s", buf);
}

/* ---- names ---- */

unsigned int utf8_len(const char *str)
{
	const unsigned char *s = (const unsigned char *)str;
	uint32_t c, least;
	unsigned int len;

	if (s[0] < 0x80)
		return 1;
	len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	c = s[0] & (0x7fu >> len);
	for (unsigned int i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	least = len == 4 ? 0x10000 : len == 3 ? 0x800 : 0x80;
	return c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ?
		0 : len;
}

static bool is_control(const char *s)
{
	unsigned char c = (unsigned char)*s;

	return c < 0x20 || c == 0x7f ||
		(c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

char *name_text(const char *name)
{
	/* Each byte may take four. */
	char *text = malloc(4 * strlen(name) + 1), *to = text;
	unsigned int len;

	if (!text)
		return NULL;
	while (*name) {
		len = utf8_len(name);
		if (len && !is_control(name) && *name != '\\') {
			memcpy(to, name, len);
			to += len;
			name += len;
		} else {
			to += sprintf(to, "\\%03o", (unsigned char)*name++);
		}
	}
	*to = '\0';
	return text;
}

void print_name(FILE *to, const char *name)
{
	char *text = name_text(name);

	fputs(text ?: "?", to);
	free(text);
}

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' &&
		s[2] >= '0' && s[2] <= '7';
}

void unescape_octal(char *s)
{
	char *to = s;

	while (*s) {
		if (*s == '\\' && is_octal(s + 1)) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				       (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

char *escape_octal(const char *s)
{
	char *text = malloc(4 * strlen(s) + 1), *to = text;

	if (!text)
		return NULL;
	for (; *s; s++) {
		if (strchr(" \t\n\\", *s))
			to += sprintf(to, "\\%03o", (unsigned char)*s);
		else
			*to++ = *s;
	}
	*to = '\0';
	return text;
}

char *next_line(char **textp)
{
	char *line = *textp, *end;

	if (!*line)
		return NULL;
	end = line + strcspn(line, "\n");
	*textp = *end ? end + 1 : end;
	*end = '\0';
	return line;
}

bool terminal_size(unsigned int *rows, unsigned int *columns)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) ||
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return false;
	*rows = size.ws_row ?: 24;
	*columns = size.ws_col ?: 80;
	return true;
}
