// Sorting, comparisons through a function pointer among them: quick, heap, merge and radix sort, and the library's.
#include "support/guest.h"

enum { kSize = 200000 };

typedef struct {
  uint32_t key, payload;
} Item;

typedef int (*Compare)(const Item*, const Item*);

static int by_key(const Item* a, const Item* b) { return a->key < b->key ? -1 : a->key > b->key; }
static int by_payload(const Item* a, const Item* b) { return a->payload < b->payload ? -1 : a->payload > b->payload; }
static int descending(const Item* a, const Item* b) { return by_key(b, a); }
static int library_compare(const void* a, const void* b) { return by_payload((const Item*)a, (const Item*)b); }

static void swap(Item* a, Item* b) {
  Item t = *a;
  *a = *b;
  *b = t;
}

static void quick_sort(Item* items, int n, Compare compare) {
  while (n > 12) {
    Item pivot = items[n / 2];
    int i = -1, j = n;
    for (;;) {
      do i++;
      while (compare(&items[i], &pivot) < 0);
      do j--;
      while (compare(&items[j], &pivot) > 0);
      if (i >= j) break;
      swap(&items[i], &items[j]);
    }
    quick_sort(items, j + 1, compare);
    items += j + 1;
    n -= j + 1;
  }
  for (int i = 1; i < n; i++) {
    Item item = items[i];
    int j = i;
    for (; j > 0 && compare(&items[j - 1], &item) > 0; j--) items[j] = items[j - 1];
    items[j] = item;
  }
}

static void sift(Item* items, int root, int n, Compare compare) {
  for (int child; (child = 2 * root + 1) < n; root = child) {
    if (child + 1 < n && compare(&items[child], &items[child + 1]) < 0) child++;
    if (compare(&items[root], &items[child]) >= 0) return;
    swap(&items[root], &items[child]);
  }
}

static void heap_sort(Item* items, int n, Compare compare) {
  for (int i = n / 2 - 1; i >= 0; i--) sift(items, i, n, compare);
  for (int end = n - 1; end > 0; end--) {
    swap(&items[0], &items[end]);
    sift(items, 0, end, compare);
  }
}

static void merge_sort(Item* items, Item* spare, int n, Compare compare) {
  if (n < 2) return;
  int half = n / 2;
  merge_sort(items, spare, half, compare);
  merge_sort(items + half, spare, n - half, compare);
  memcpy(spare, items, (size_t)half * sizeof(Item));
  for (int i = 0, j = half, k = 0; i < half; k++) {
    items[k] = j < n && compare(&items[j], &spare[i]) < 0 ? items[j++] : spare[i++];
  }
}

static void radix_sort(Item* items, Item* spare, int n) {
  for (int shift = 0; shift < 32; shift += 8) {
    int count[257] = {0};
    for (int i = 0; i < n; i++) count[(items[i].key >> shift & 255) + 1]++;
    for (int i = 0; i < 256; i++) count[i + 1] += count[i];
    for (int i = 0; i < n; i++) spare[count[items[i].key >> shift & 255]++] = items[i];
    memcpy(items, spare, (size_t)n * sizeof(Item));
  }
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 4);
  static Item start[kSize], items[kSize], spare[kSize];
  static const Compare compares[] = {by_key, by_payload, descending};
  uint64_t seed = 99, hash = 0;
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < kSize; i++) {
      start[i].key = (uint32_t)guest_random(&seed);
      start[i].payload = (uint32_t)guest_random(&seed) % 10000;
    }
    Compare compare = compares[round % 3];
    for (int kind = 0; kind < 5; kind++) {
      memcpy(items, start, sizeof items);
      if (kind == 0) quick_sort(items, kSize, compare);
      if (kind == 1) heap_sort(items, kSize, compare);
      if (kind == 2) merge_sort(items, spare, kSize, compare);
      if (kind == 3) radix_sort(items, spare, kSize);
      if (kind == 4) qsort(items, kSize, sizeof(Item), library_compare);
      int wrong = 0;
      for (int i = 1; i < kSize; i++) {
        Compare order = kind == 3 ? by_key : kind == 4 ? by_payload : compare;
        wrong += order(&items[i - 1], &items[i]) > 0;
      }
      hash = guest_mix(hash, (uint64_t)wrong + items[kSize / 2].key * (uint64_t)(kind == 2 || kind == 3));
    }
  }
  guest_report("sort", hash);
}
