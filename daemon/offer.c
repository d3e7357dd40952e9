// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/offer.c - open files that clients have shown, to map them
 *
 *   client            FUSE worker                     worker
 *   ioctl(OFFER) -->  client of the cookie
 *                     offers: [12] [15] [16]
 *            16  <--
 *   MMAP 16 ------------------------------------->    [16] taken out, mapped
 *
 * The descriptor itself never comes here (pagefs_wire.h says why). That it is
 * open in that process, and how, the kernel vouches for: it let the process ask.
 * The cookie says for whom; its secret keeps others from filling the list.
 *
 * O1. An offer holds its inode, so a deleted file stays until it goes: with the
 *     MMAP, with the client, or when newer ones push it out.
 * O2. Numbers are never used again, and are looked up in the asker's own list
 *     only: one that is another's finds nothing.
 *
 * Locks: client->offer_lock, a leaf; inodes are put without it.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

struct offer {
	struct list_head list;
	uint64_t number;
	struct fs_offer file;
};

static atomic_ullong last_number;

static void offer_free(struct offer *offer)
{
	if (!offer)
		return;
	fs_offer_put(&offer->file);
	free(offer);
}

/* Context: client->offer_lock. */
static void __offer_del(struct client *client, struct offer *offer)
{
	lockdep_assert_held(&client->offer_lock);
	list_del(&offer->list);
	client->nr_offers--;
}

/* Return: the oldest one, out of the list, if they are too many; or NULL. */
static struct offer *offer_add(struct client *client, struct offer *offer)
{
	struct offer *oldest = NULL;

	mutex_lock(&client->offer_lock);
	list_add_tail(&offer->list, &client->offers);
	if (++client->nr_offers > PAGEFS_OFFERS_MAX) {
		oldest = list_first_entry(&client->offers, struct offer, list);
		__offer_del(client, oldest);
	}
	mutex_unlock(&client->offer_lock);
	return oldest;
}

static int client_offer(struct client *client, const struct fs_offer *file,
			uint64_t *numberp)
{
	struct offer *offer = malloc(sizeof(*offer));
	uint64_t number = atomic_fetch_add(&last_number, 1) + 1;

	if (!offer)
		return -ENOMEM;
	offer->number = number;
	offer->file = *file;
	offer_free(offer_add(client, offer));
	*numberp = number;	/* the offer may have gone by now */
	return 0;
}

int offer_take(const uint64_t cookie[2], const struct fs_offer *file,
	       uint64_t *numberp)
{
	struct client *client = client_get_by_id(cookie[0]);
	int err = -EPERM;

	if (!client)
		return -EPERM;
	if (client->secret == cookie[1])
		err = client_offer(client, file, numberp);
	client_put(client);
	return err;
}

int offer_claim(struct client *client, uint64_t number, struct fs_offer *file)
{
	struct offer *offer, *found = NULL;

	mutex_lock(&client->offer_lock);
	list_for_each_entry(offer, &client->offers, list)
		if (offer->number == number) {
			found = offer;
			__offer_del(client, offer);
			break;
		}
	mutex_unlock(&client->offer_lock);
	if (!found)
		return -EBADF;
	*file = found->file;
	free(found);
	return 0;
}

void offers_drop(struct client *client)
{
	struct offer *offer, *next;

	list_for_each_entry_safe(offer, next, &client->offers, list) {
		list_del(&offer->list);
		offer_free(offer);
	}
}
