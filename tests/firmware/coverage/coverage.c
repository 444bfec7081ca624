/* What gcc's -fsanitize-coverage=trace-pc calls in each block: one byte for each place of the code that was reached. */
#include <stddef.h>
#include <stdint.h>

#define PLACES 0x40000u

size_t se1_size(void);
void __sanitizer_cov_trace_pc(void);
__attribute__((visibility("default"))) uint8_t se1_coverage[PLACES];

__attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc(void) {
  se1_coverage[((uintptr_t)__builtin_return_address(0) - (uintptr_t)se1_size) % PLACES] = 1;
}
