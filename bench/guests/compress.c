// A compression round trip: LZ77 over hash chains, then canonical Huffman codes, and all the way back.
#include "support/guest.h"

enum {
  kInput = 400000,
  kWindow = 32768,
  kHashBits = 14,
  kMinMatch = 4,
  kMaxMatch = 130,
  kSymbols = 512,
  kMaxBits = 15
};

typedef struct {
  uint8_t* bytes;
  size_t size;
  uint64_t bits;
  int count;
} BitStream;

static void put_bits(BitStream* out, uint32_t value, int n) {
  out->bits |= (uint64_t)value << out->count;
  out->count += n;
  while (out->count >= 8) {
    out->bytes[out->size++] = (uint8_t)out->bits;
    out->bits >>= 8;
    out->count -= 8;
  }
}

static uint32_t get_bits(BitStream* in, int n) {
  while (in->count < n) {
    in->bits |= (uint64_t)in->bytes[in->size++] << in->count;
    in->count += 8;
  }
  uint32_t value = (uint32_t)(in->bits & ((1ull << n) - 1));
  in->bits >>= n;
  in->count -= n;
  return value;
}

// A token is a literal (symbol < 256) or a match (symbol 256 + length - kMinMatch, then a distance of 15 bits).
typedef struct {
  uint16_t symbol, distance;
} Token;

static int find_tokens(const uint8_t* in, int n, Token* tokens) {
  static int head[1 << kHashBits], previous[kWindow];
  memset(head, -1, sizeof head);
  int count = 0;
  for (int i = 0; i < n;) {
    int best = 0, best_distance = 0;
    if (i + kMinMatch <= n) {
      uint32_t word;
      memcpy(&word, in + i, 4);
      uint32_t h = word * 2654435761u >> (32 - kHashBits);
      int limit = n - i < kMaxMatch ? n - i : kMaxMatch;
      for (int j = head[h], tries = 24; j >= 0 && i - j < kWindow && tries--; j = previous[j & (kWindow - 1)]) {
        int length = 0;
        while (length < limit && in[j + length] == in[i + length]) length++;
        if (length > best) best = length, best_distance = i - j;
      }
      previous[i & (kWindow - 1)] = head[h];
      head[h] = i;
    }
    if (best < kMinMatch) {
      tokens[count++] = (Token){in[i++], 0};
      continue;
    }
    tokens[count++] = (Token){(uint16_t)(256 + best - kMinMatch), (uint16_t)best_distance};
    for (int k = 1; k < best && i + k + kMinMatch <= n; k++) {
      uint32_t word;
      memcpy(&word, in + i + k, 4);
      uint32_t h = word * 2654435761u >> (32 - kHashBits);
      previous[(i + k) & (kWindow - 1)] = head[h];
      head[h] = i + k;
    }
    i += best;
  }
  tokens[count++] = (Token){kSymbols - 1, 0};
  return count;
}

// Code lengths by repeatedly joining the two lightest trees; weights are flattened until no code is too long.
static void code_lengths(uint32_t* weight, uint8_t* length) {
  for (;;) {
    static uint32_t w[2 * kSymbols];
    static int parent[2 * kSymbols];
    int live[kSymbols], n = 0, next = kSymbols, longest = 0;
    for (int i = 0; i < kSymbols; i++) {
      length[i] = 0;
      w[i] = weight[i];
      if (w[i]) live[n++] = i;
    }
    while (n > 1) {
      for (int k = 0; k < 2; k++) {  // the two lightest to the end
        int least = 0;
        for (int i = 1; i < n - k; i++) {
          if (w[live[i]] < w[live[least]]) least = i;
        }
        int t = live[least];
        live[least] = live[n - 1 - k];
        live[n - 1 - k] = t;
      }
      w[next] = w[live[n - 1]] + w[live[n - 2]];
      parent[live[n - 1]] = parent[live[n - 2]] = next;
      live[n - 2] = next++;
      n--;
    }
    for (int i = 0; i < kSymbols; i++) {
      if (!weight[i]) continue;
      for (int at = i; at != next - 1; at = parent[at]) length[i]++;
      if (length[i] > longest) longest = length[i];
    }
    if (longest <= kMaxBits) return;
    for (int i = 0; i < kSymbols; i++) weight[i] = weight[i] ? weight[i] / 4 + 1 : 0;
  }
}

static void make_codes(const uint8_t* length, uint16_t* code) {
  uint32_t next = 0;
  for (int bits = 1; bits <= kMaxBits; bits++, next <<= 1) {
    for (int s = 0; s < kSymbols; s++) {
      if (length[s] != bits) continue;
      uint32_t reversed = 0;
      for (int b = 0; b < bits; b++) reversed |= (next >> b & 1) << (bits - 1 - b);
      code[s] = (uint16_t)reversed;
      next++;
    }
  }
}

static size_t compress(const uint8_t* in, int n, uint8_t* out) {
  static Token tokens[kInput + 1];
  int count = find_tokens(in, n, tokens);
  uint32_t weight[kSymbols] = {0};
  for (int i = 0; i < count; i++) weight[tokens[i].symbol]++;
  uint8_t length[kSymbols];
  uint16_t code[kSymbols] = {0};
  code_lengths(weight, length);
  make_codes(length, code);
  BitStream stream = {out, 0, 0, 0};
  for (int i = 0; i < kSymbols; i++) put_bits(&stream, length[i], 4);
  for (int i = 0; i < count; i++) {
    put_bits(&stream, code[tokens[i].symbol], length[tokens[i].symbol]);
    if (tokens[i].distance) put_bits(&stream, tokens[i].distance, 15);
  }
  put_bits(&stream, 0, 7);
  return stream.size;
}

static int decompress(uint8_t* in, uint8_t* out) {
  BitStream stream = {in, 0, 0, 0};
  uint8_t length[kSymbols];
  uint16_t code[kSymbols] = {0};
  static uint16_t table[1 << kMaxBits];
  for (int i = 0; i < kSymbols; i++) length[i] = (uint8_t)get_bits(&stream, 4);
  make_codes(length, code);
  for (int s = 0; s < kSymbols; s++) {
    for (uint32_t k = code[s]; length[s] && k < 1u << kMaxBits; k += 1u << length[s]) table[k] = (uint16_t)s;
  }
  int n = 0;
  for (;;) {
    while (stream.count < kMaxBits) {
      stream.bits |= (uint64_t)stream.bytes[stream.size++] << stream.count;
      stream.count += 8;
    }
    int symbol = table[stream.bits & ((1 << kMaxBits) - 1)];
    stream.bits >>= length[symbol];
    stream.count -= length[symbol];
    if (symbol == kSymbols - 1) return n;
    if (symbol < 256) {
      out[n++] = (uint8_t)symbol;
      continue;
    }
    int distance = (int)get_bits(&stream, 15);
    for (int k = symbol - 256 + kMinMatch; k > 0; k--, n++) out[n] = out[n - distance];
  }
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 32);
  static uint8_t input[kInput], packed[2 * kInput + 1024], output[kInput + kMaxMatch];
  uint64_t seed = 6, hash = 0;
  for (long round = 0; round < rounds; round++) {
    for (int n = 0; n < kInput;) {  // text of a small vocabulary, with a few noisy bytes
      uint64_t r = guest_random(&seed);
      uint64_t word = r % 997 * 0x9e3779b97f4a7c15u;
      for (int k = 0; k < 2 + (int)(r % 997 % 9) && n < kInput; k++) input[n++] = (uint8_t)('a' + (word >> 5 * k) % 23);
      if (n < kInput) input[n++] = (r >> 40 & 31) ? ' ' : (uint8_t)(r >> 48);
    }
    size_t size = compress(input, kInput, packed);
    int back = decompress(packed, output);
    if (back != kInput || memcmp(input, output, kInput) != 0) {
      printf("round trip failed\n");
      return 1;
    }
    hash = guest_mix(guest_mix(hash, size), guest_mix_bytes(0, packed, size));
  }
  guest_report("compress", hash);
}
