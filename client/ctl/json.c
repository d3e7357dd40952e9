// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/json.c - the same for machines
 *
 * A JSON text is UTF-8, and names are bytes. A byte that is part of no character
 * becomes one half of a surrogate pair, \udc80 to \udcff, as in .pagefs/trace:
 * no character is written so, and who wants the name back can have it (Python:
 * os.fsencode).
 */
#include <errno.h>
#include <json-c/json.h>
#include <json-c/printbuf.h>
#include <string.h>

#include "ctl.h"

static bool is_utf8(const char *s)
{
	unsigned int len;

	for (; *s; s += len) {
		len = utf8_len(s);
		if (!len)
			return false;
	}
	return true;
}

static int write_name(struct json_object *obj, struct printbuf *pb, int level,
		      int flags)
{
	const char *s = json_object_get_string(obj);
	unsigned int len;

	(void)level, (void)flags;
	printbuf_strappend(pb, "\"");
	for (; *s; s += len ?: 1) {
		len = utf8_len(s);
		if (!len)
			sprintbuf(pb, "\\udc%02x", (unsigned char)*s);
		else if (strchr("\"\\", *s))
			sprintbuf(pb, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			sprintbuf(pb, "\\u%04x", (unsigned char)*s);
		else
			printbuf_memappend(pb, s, (int)len);
	}
	return printbuf_strappend(pb, "\"");
}

struct json_object *json_name(const char *name)
{
	struct json_object *obj = json_object_new_string(name);

	if (obj && !is_utf8(name))
		json_object_set_serializer(obj, write_name, NULL, NULL);
	return obj;
}

void json_add_name(struct json_object *obj, const char *key, const char *name)
{
	json_object_object_add(obj, key, json_name(name));
}

void json_add_u64(struct json_object *obj, const char *key, uint64_t value)
{
	json_object_object_add(obj, key, json_object_new_uint64(value));
}

void json_add_double(struct json_object *obj, const char *key, double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%.3f", value);
	json_object_object_add(obj, key, json_object_new_double_s(value, text));
}

int json_line(struct json_object *obj)
{
	const char *text = json_object_to_json_string_ext(obj,
			JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	bool ok = text && puts(text) >= 0;

	json_object_put(obj);
	if (!text)
		return ctl_fail(-ENOMEM, "JSON");
	return ok && !fflush(stdout) ? 0 : ctl_end_output();
}
