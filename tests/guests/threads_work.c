// A pool of threads takes blocks of work from a queue and hands its results back through another.
//   threads_work WORK THREADS SIZE     WORK: mandelbrot, compress
// Prints a sum of the results, which does not depend on how many threads there are. Status 3: a thread was not started.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/threads.h"

typedef uint64_t (*work)(int block, int size);

static struct {
  mutex lock;
  condition changed;
  work what;
  int size, blocks, next, finished;
  uint64_t sum;
} queue = {.lock = MUTEX_INIT, .changed = CONDITION_INIT};

/// A row of the Mandelbrot set.
static uint64_t mandelbrot(int row, int size) {
  uint64_t sum = 0;
  const double y = 2.0 * row / size - 1.0;
  for (int column = 0; column < size; ++column) {
    const double x = 3.0 * column / size - 2.0;
    double a = 0, b = 0;
    int n = 0;
    for (; n < 1000 && a * a + b * b <= 4.0; ++n) {
      const double next = a * a - b * b + x;
      b = 2 * a * b + y;
      a = next;
    }
    sum = sum * 31 + (uint64_t)n;
  }
  return sum ^ (uint64_t)row;
}

/// 256 KiB of made-up text, compressed by references to what came before, by hashes of four bytes.
static uint64_t compress(int block, int size) {
  enum { BYTES = 256 << 10, SLOTS = 1 << 14 };
  (void)size;
  unsigned char* text = shared_malloc(BYTES);
  unsigned char* out = shared_malloc(2 * BYTES);
  int32_t* last = shared_malloc(SLOTS * sizeof *last);
  if (text == NULL || out == NULL || last == NULL) abort();
  uint32_t seed = (uint32_t)block * 2654435761u + 1;
  for (int i = 0; i < BYTES; ++i) {
    seed = seed * 1664525u + 1013904223u;
    const uint32_t kind = seed >> 24;
    text[i] = kind < 200 && i > 4096 ? text[i - 1 - (int)(seed >> 8 & 1023)] : (unsigned char)('a' + (seed >> 16) % 20);
  }
  memset(last, 0xff, SLOTS * sizeof *last);
  size_t used = 0;
  for (int i = 0; i < BYTES;) {
    uint32_t word = 0;
    int length = 0;
    int32_t from = -1;
    if (i + 4 <= BYTES) {
      memcpy(&word, text + i, 4);
      int32_t* slot = &last[(word * 2654435761u) >> 18];
      from = *slot;
      *slot = i;
      if (from >= 0) {
        while (length < 255 && i + length < BYTES && text[from + length] == text[i + length]) ++length;
      }
    }
    if (length >= 4) {
      out[used++] = 0xff;
      out[used++] = (unsigned char)length;
      memcpy(out + used, &from, 3);
      used += 3;
      i += length;
    } else {
      out[used++] = text[i++];
    }
  }
  uint64_t sum = used;
  for (size_t i = 0; i < used; ++i) sum = (sum ^ out[i]) * 1099511628211u;
  shared_free(last);
  shared_free(out);
  shared_free(text);
  return sum;
}

static void* run(void* argument) {
  (void)argument;
  mutex_lock(&queue.lock);
  while (queue.next < queue.blocks) {
    const int block = queue.next++;
    mutex_unlock(&queue.lock);
    const uint64_t result = queue.what(block, queue.size);
    mutex_lock(&queue.lock);
    queue.sum += result * (uint64_t)(block + 1);
    if (++queue.finished == queue.blocks) condition_broadcast(&queue.changed);
  }
  mutex_unlock(&queue.lock);
  return argument;
}

int main(int argc, char** argv) {
  threads_begin();
  if (argc != 4) {
    fprintf(stderr, "usage: threads_work mandelbrot|compress THREADS SIZE\n");
    return 2;
  }
  queue.what = strcmp(argv[1], "compress") == 0 ? compress : mandelbrot;
  const int threads = atoi(argv[2]);
  queue.size = queue.blocks = atoi(argv[3]);
  thread** all = malloc((size_t)threads * sizeof *all);
  for (int i = 0; i < threads; ++i) {
    all[i] = thread_start(run, (void*)(uintptr_t)i);
    if (all[i] == NULL) return 3;
  }
  mutex_lock(&queue.lock);
  while (queue.finished < queue.blocks) condition_wait(&queue.changed, &queue.lock);
  mutex_unlock(&queue.lock);
  for (int i = 0; i < threads; ++i) {
    if (thread_join(all[i]) != (void*)(uintptr_t)i) return 4;
  }
  free(all);
  printf("%016llx\n", (unsigned long long)queue.sum);
  exit(0);
}
