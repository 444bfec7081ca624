/* All of string.h that the ROM uses; a freestanding compiler brings none. */
#ifndef SE1_BOARD_STRING_H
#define SE1_BOARD_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
