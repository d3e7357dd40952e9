// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/kv/record.c - numbered records
 *
 *   key	user0012345678901234567		a hash of the number, in digits
 *   value	| number 8 | version 4 | check 4 | words that follow from those |
 *
 * So a page of a file that is not what was written there is noticed by whoever
 * reads the value, whatever the operation was.
 */
#include <string.h>

#include "kv.h"

struct value_head {
	uint64_t number;
	uint32_t version;
	uint32_t check;		/* of number, version and size */
};

_Static_assert(sizeof(struct value_head) == KV_MIN_VALUE, "no holes");

/* Two numbers have two hashes: each step can be undone. */
static uint64_t hash(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

MDB_val kv_key(uint64_t number, uint32_t size, char *buf)
{
	static const char digits[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-";
	uint64_t h = hash(number + 1);
	uint32_t i;

	/* Eleven digits are all of it; a longer key has zeros before them. */
	memset(buf, '0', size);
	for (i = 0; i < 11 && i < size; i++, h >>= 6)
		buf[size - 1 - i] = digits[h & 63];
	if (size >= 15)
		memcpy(buf, "user", 4);
	return (MDB_val){ .mv_size = size, .mv_data = buf };
}

static struct value_head head_of(size_t size, uint64_t number, uint32_t version)
{
	return (struct value_head){
		.number = number, .version = version,
		.check = (uint32_t)hash(number ^ (uint64_t)version << 32 ^
					hash(size)),
	};
}

static uint64_t word_at(uint64_t seed, size_t i)
{
	return (seed + i) * 0x9e3779b97f4a7c15ULL;
}

void kv_fill_value(void *buf, size_t size, uint64_t number, uint32_t version)
{
	struct value_head head = head_of(size, number, version);
	uint64_t seed = hash(number ^ head.check), word;
	char *p = buf;

	memcpy(p, &head, sizeof(head));
	for (size_t pos = sizeof(head); pos < size; pos += 8) {
		word = word_at(seed, pos);
		memcpy(p + pos, &word, size - pos < 8 ? size - pos : 8);
	}
}

bool kv_check_value(const MDB_val *value, uint64_t number)
{
	const char *p = value->mv_data;
	struct value_head head, want;
	uint64_t seed, word;

	if (value->mv_size < sizeof(head))
		return false;
	memcpy(&head, p, sizeof(head));
	want = head_of(value->mv_size, number, head.version);
	if (memcmp(&head, &want, sizeof(head)))
		return false;
	seed = hash(number ^ head.check);
	for (size_t pos = sizeof(head); pos < value->mv_size; pos += 8) {
		size_t len = value->mv_size - pos < 8 ? value->mv_size - pos : 8;

		word = word_at(seed, pos);
		if (memcmp(p + pos, &word, len))
			return false;
	}
	return true;
}

bool kv_check_record(const MDB_val *key, const MDB_val *value)
{
	struct value_head head;
	char buf[KV_MAX_KEY];
	MDB_val want;

	if (value->mv_size < sizeof(head) || key->mv_size < KV_MIN_KEY ||
	    key->mv_size > KV_MAX_KEY)
		return false;
	memcpy(&head, value->mv_data, sizeof(head));
	want = kv_key(head.number, (uint32_t)key->mv_size, buf);
	return !memcmp(want.mv_data, key->mv_data, key->mv_size) &&
		kv_check_value(value, head.number);
}
