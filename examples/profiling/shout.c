// A slow guest, for docs/profiling.md: it writes a text in capitals, and counts its words. Compiled with -DMENDED it is the
// one that the document ends with.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char* make_text(size_t words) {
  char* text = malloc(8 * words + 1);
  if (!text) abort();
  char* at = text;
  for (size_t i = 0; i < words; ++i) at += sprintf(at, "w%zu ", i % 1000);
  return text;
}

__attribute__((noinline)) static void shout(char* text) {
#ifdef MENDED
  for (char* at = text; *at; ++at) *at = (char)toupper(*at);
#else
  // The text changes, so its length is looked for again at each letter.
  for (size_t i = 0; i < strlen(text); ++i) text[i] = (char)toupper(text[i]);
#endif
}

__attribute__((noinline)) static size_t count_words(const char* text) {
  size_t words = 0;
  for (; *text; ++text) words += *text == ' ';
  return words;
}

int main(void) {
  size_t words = 0;
  for (int round = 0; round < 2; ++round) {
    char* text = make_text(20000);
    shout(text);
    words += count_words(text);
    free(text);
  }
  printf("%zu words\n", words);
}
