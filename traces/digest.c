// SPDX-License-Identifier: MIT
/*
 * What a trace, or a text, is known by, wherever it lies and whatever it is called: the BLAKE2b hash of its bytes, by
 * libsodium, as hexadecimal digits.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include "traces/digest.h"

#define DIGEST_BYTES (RF_DIGEST_DIGITS / 2)
#define BYTES_A_READ (64 << 10)

static void finish(crypto_generichash_state *state, char *digest)
{
	unsigned char hash[DIGEST_BYTES];

	crypto_generichash_final(state, hash, sizeof(hash));
	sodium_bin2hex(digest, RF_DIGEST_SIZE, hash, sizeof(hash));
}

/* sodium_init() finds the fastest code for this machine; without it the slowest is used, which is as good. */
static void begin(crypto_generichash_state *state)
{
	if (sodium_init() < 0)
		sodium_memzero(state, sizeof(*state));
	crypto_generichash_init(state, NULL, 0, DIGEST_BYTES);
}

void rf_digest_text(const void *text, size_t size, char *digest)
{
	crypto_generichash_state state;

	begin(&state);
	crypto_generichash_update(&state, text, size);
	finish(&state, digest);
}

int rf_digest_file(const char *path, char *digest)
{
	crypto_generichash_state state;
	unsigned char bytes[BYTES_A_READ];
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;
	ssize_t got;

	if (fd < 0)
		return -errno;
	begin(&state);
	do {
		got = read(fd, bytes, sizeof(bytes));
		if (got > 0)
			crypto_generichash_update(&state, bytes, (unsigned long long)got);
	} while (got > 0 || (got < 0 && errno == EINTR));
	ret = got < 0 ? -errno : 0;
	close(fd);
	if (!ret)
		finish(&state, digest);
	return ret;
}
