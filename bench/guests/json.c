// Strings: a JSON document is printed, parsed into a tree of nodes, searched, and printed again.
#include "support/guest.h"

typedef enum { kNull, kBool, kNumber, kString, kArray, kObject } Kind;

typedef struct Node Node;
struct Node {
  Kind kind;
  char* name;  // of a member of an object
  char* text;  // of a string
  double number;
  Node *child, *next;
};

typedef struct {
  char* bytes;
  size_t size, capacity;
} Buffer;

static void put(Buffer* out, const char* bytes, size_t size) {
  if (out->size + size + 1 > out->capacity) {
    out->capacity = (out->size + size + 1) * 2;
    out->bytes = (char*)realloc(out->bytes, out->capacity);
  }
  memcpy(out->bytes + out->size, bytes, size);
  out->size += size;
  out->bytes[out->size] = 0;
}

static void put_char(Buffer* out, char c) { put(out, &c, 1); }

static void put_quoted(Buffer* out, const char* text) {
  put_char(out, '"');
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') put_char(out, '\\');
    if (*text == '\n') {
      put(out, "\\n", 2);
    } else {
      put_char(out, *text);
    }
  }
  put_char(out, '"');
}

static void put_number(Buffer* out, double number) {
  char text[40];
  long long whole = (long long)number;
  int n = (double)whole == number ? snprintf(text, sizeof text, "%lld", whole)
                                  : snprintf(text, sizeof text, "%.4f", number);
  put(out, text, (size_t)n);
}

static void print(Buffer* out, const Node* node) {
  switch (node->kind) {
    case kNull: put(out, "null", 4); break;
    case kBool: node->number != 0 ? put(out, "true", 4) : put(out, "false", 5); break;
    case kNumber: put_number(out, node->number); break;
    case kString: put_quoted(out, node->text); break;
    case kArray:
    case kObject:
      put_char(out, node->kind == kArray ? '[' : '{');
      for (const Node* child = node->child; child; child = child->next) {
        if (child != node->child) put_char(out, ',');
        if (child->name) {
          put_quoted(out, child->name);
          put_char(out, ':');
        }
        print(out, child);
      }
      put_char(out, node->kind == kArray ? ']' : '}');
  }
}

static const char* skip(const char* p) {
  while (*p == ' ' || *p == '\n' || *p == '\t') p++;
  return p;
}

static const char* parse_string(const char* p, char** text) {
  const char* end = ++p;
  while (*end != '"') end += *end == '\\' ? 2 : 1;
  char* out = *text = (char*)malloc((size_t)(end - p) + 1);
  while (p < end) {
    if (*p == '\\') {
      p++;
      *out++ = *p == 'n' ? '\n' : *p;
      p++;
    } else {
      *out++ = *p++;
    }
  }
  *out = 0;
  return end + 1;
}

static const char* parse_number(const char* p, double* number) {
  int negative = *p == '-';
  p += negative;
  double value = 0, scale = 1;
  while (*p >= '0' && *p <= '9') value = value * 10 + (*p++ - '0');
  if (*p == '.') {
    for (p++; *p >= '0' && *p <= '9'; scale *= 10) value = value * 10 + (*p++ - '0');
  }
  *number = (negative ? -value : value) / scale;
  return p;
}

static const char* parse(const char* p, Node** result) {
  Node* node = *result = (Node*)calloc(1, sizeof(Node));
  p = skip(p);
  if (*p == '"') {
    node->kind = kString;
    return skip(parse_string(p, &node->text));
  }
  if (*p == '[' || *p == '{') {
    char close = *p == '[' ? ']' : '}';
    node->kind = *p == '[' ? kArray : kObject;
    Node** tail = &node->child;
    p = skip(p + 1);
    while (*p != close) {
      char* name = NULL;
      if (node->kind == kObject) p = skip(skip(parse_string(p, &name)) + 1);
      p = parse(p, tail);
      (*tail)->name = name;
      tail = &(*tail)->next;
      if (*p == ',') p = skip(p + 1);
    }
    return skip(p + 1);
  }
  if (*p == 't' || *p == 'f') {
    node->kind = kBool;
    node->number = *p == 't';
    return skip(p + (*p == 't' ? 4 : 5));
  }
  if (*p == 'n') return skip(p + 4);
  node->kind = kNumber;
  return skip(parse_number(p, &node->number));
}

static const Node* member(const Node* object, const char* name) {
  for (const Node* child = object->child; child; child = child->next) {
    if (strcmp(child->name, name) == 0) return child;
  }
  return NULL;
}

static void release(Node* node) {
  while (node) {
    Node* next = node->next;
    release(node->child);
    free(node->name);
    free(node->text);
    free(node);
    node = next;
  }
}

static void compose(Buffer* out, long records, uint64_t seed) {
  put_char(out, '[');
  for (long i = 0; i < records; i++) {
    uint64_t r = guest_random(&seed);
    char text[200];
    int n = snprintf(text, sizeof text,
                     "%s{\"id\": %ld, \"name\": \"user \\\"%c%c%c\\\"\", \"score\": %.2f, \"active\": %s, "
                     "\"tags\": [\"t%d\", \"t%d\", null], \"at\": {\"x\": %d, \"y\": -%d}}",
                     i ? ",\n" : "", i, 'a' + (int)(r % 26), 'a' + (int)(r / 26 % 26), 'a' + (int)(r / 676 % 26),
                     (double)(r >> 40) / 64, r & 1 ? "true" : "false", (int)(r >> 8 & 15), (int)(r >> 12 & 15),
                     (int)(r >> 16 & 1023), (int)(r >> 26 & 1023));
    put(out, text, (size_t)n);
  }
  put_char(out, ']');
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 40);
  uint64_t hash = 0;
  for (long round = 0; round < rounds; round++) {
    Buffer source = {0}, printed = {0};
    compose(&source, 2000, (uint64_t)round);
    Node* tree;
    parse(source.bytes, &tree);
    double sum = 0;
    long found = 0;
    for (const Node* record = tree->child; record; record = record->next) {
      if (member(record, "active")->number != 0) sum += member(record, "score")->number;
      const Node* at = member(record, "at");
      found += member(at, "x")->number + member(at, "y")->number > 0;
      for (const Node* tag = member(record, "tags")->child; tag; tag = tag->next) {
        found += tag->kind == kString && strcmp(tag->text, "t7") == 0;
      }
    }
    print(&printed, tree);
    hash = guest_mix(guest_mix_double(hash, sum), (uint64_t)found);
    hash = guest_mix(hash, guest_mix_bytes(0, printed.bytes, printed.size));
    release(tree);
    free(source.bytes);
    free(printed.bytes);
  }
  guest_report("json", hash);
}
