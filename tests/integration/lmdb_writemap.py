# SPDX-License-Identifier: BSD-2-Clause
#
# tests/integration/lmdb_writemap.py - LMDB that writes through its mapping
#
#   lmdb_writemap.py DIRECTORY MB
#
# With MDB_WRITEMAP nothing but stores to the mapping changes the file. Writes
# MB MiB, changes and deletes some, reads all back, and some in any order; prints
# what it has found.
# Through ctypes: whichever Python this is, it needs no module.
import ctypes
import sys
import zlib

MDB_WRITEMAP = 0x80000
MDB_FIRST, MDB_NEXT = 0, 8

lmdb = ctypes.CDLL("liblmdb.so.0")
lmdb.mdb_strerror.restype = ctypes.c_char_p
P = ctypes.c_void_p


class Val(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("data", P)]


def call(name, *args):
    err = getattr(lmdb, name)(*args)
    if err:
        sys.exit("%s: %s" % (name, lmdb.mdb_strerror(err).decode()))


def val(data):
    buf = ctypes.create_string_buffer(data, len(data))
    v = Val(len(data), ctypes.cast(buf, P))
    v.keep = buf
    return v


def key_of(i):
    # Neighbours change places within 4096: leaves are split, but a page that
    # was left is not wanted again at once, else this takes minutes.
    return (i - i % 4096 + i * 1657 % 4096).to_bytes(8, "big")


def data_of(i, version):
    word = (i * 2654435761 + version).to_bytes(8, "little")
    return word * (60 + i % 50)


class Env:
    def __init__(self, path, size):
        self.env = P()
        call("mdb_env_create", ctypes.byref(self.env))
        call("mdb_env_set_mapsize", self.env, ctypes.c_size_t(size))
        call("mdb_env_open", self.env, path.encode(), MDB_WRITEMAP, 0o644)

    def begin(self):
        txn, dbi = P(), ctypes.c_uint()
        call("mdb_txn_begin", self.env, None, 0, ctypes.byref(txn))
        call("mdb_dbi_open", txn, None, 0, ctypes.byref(dbi))
        return txn, dbi

    def batch(self, numbers, change):
        txn, dbi = self.begin()
        for i in numbers:
            change(txn, dbi, i)
        call("mdb_txn_commit", txn)

    def crc(self):
        txn, dbi = self.begin()
        cursor, key, data = P(), Val(), Val()
        call("mdb_cursor_open", txn, dbi, ctypes.byref(cursor))
        crc = count = 0
        op = MDB_FIRST
        while not lmdb.mdb_cursor_get(cursor, ctypes.byref(key),
                                      ctypes.byref(data), op):
            crc = zlib.crc32(ctypes.string_at(key.data, key.size), crc)
            crc = zlib.crc32(ctypes.string_at(data.data, data.size), crc)
            count += 1
            op = MDB_NEXT
        lmdb.mdb_cursor_close(cursor)
        lmdb.mdb_txn_abort(txn)
        return count, crc


def put(version):
    def change(txn, dbi, i):
        key, data = val(key_of(i)), val(data_of(i, version))
        call("mdb_put", txn, dbi, ctypes.byref(key), ctypes.byref(data), 0)
    return change


def delete(txn, dbi, i):
    key = val(key_of(i))
    call("mdb_del", txn, dbi, ctypes.byref(key), None)


def check(env, numbers, versions):
    txn, dbi = env.begin()
    for i in numbers:
        key, data = val(key_of(i)), Val()
        err = lmdb.mdb_get(txn, dbi, ctypes.byref(key), ctypes.byref(data))
        want = versions(i)
        got = None if err else ctypes.string_at(data.data, data.size)
        if got != (None if want is None else data_of(i, want)):
            sys.exit("record %d is not what was written" % i)
    lmdb.mdb_txn_abort(txn)


def main():
    path, mb = sys.argv[1], int(sys.argv[2])
    total = mb << 10
    env = Env(path, mb << 22)
    for start in range(0, total, 5000):
        env.batch(range(start, min(start + 5000, total)), put(1))
    print(*env.crc())
    env.batch(range(0, total, 7), put(2))
    env.batch(range(3, total, 11), delete)
    call("mdb_env_sync", env.env, 1)

    def version(i):
        if i % 11 == 3:
            return None
        return 2 if i % 7 == 0 else 1

    check(env, range(total), version)
    check(env, (i * 40503 % total for i in range(total // 32)), version)
    print(*env.crc())
    lmdb.mdb_env_close(env.env)


main()
