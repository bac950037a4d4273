// Allocation: binary trees built and dropped, and a treap under insertion and deletion.
#include "support/guest.h"

typedef struct Tree {
  struct Tree *left, *right;
} Tree;

static Tree* build(int depth) {
  Tree* tree = (Tree*)malloc(sizeof(Tree));
  tree->left = depth ? build(depth - 1) : NULL;
  tree->right = depth ? build(depth - 1) : NULL;
  return tree;
}

static int count(const Tree* tree) { return tree ? 1 + count(tree->left) + count(tree->right) : 0; }

static void drop(Tree* tree) {
  if (!tree) return;
  drop(tree->left);
  drop(tree->right);
  free(tree);
}

typedef struct Treap {
  struct Treap *left, *right;
  uint32_t key, priority;
} Treap;

static void split(Treap* t, uint32_t key, Treap** less, Treap** more) {
  if (!t) {
    *less = *more = NULL;
  } else if (t->key < key) {
    *less = t;
    split(t->right, key, &t->right, more);
  } else {
    *more = t;
    split(t->left, key, less, &t->left);
  }
}

static Treap* join(Treap* less, Treap* more) {
  if (!less) return more;
  if (!more) return less;
  if (less->priority > more->priority) {
    less->right = join(less->right, more);
    return less;
  }
  more->left = join(less, more->left);
  return more;
}

static Treap* toggle(Treap* root, uint32_t key, uint32_t priority) {
  Treap *less, *middle, *more;
  split(root, key, &less, &middle);
  split(middle, key + 1, &middle, &more);
  if (middle) {
    free(middle);
    return join(less, more);
  }
  middle = (Treap*)malloc(sizeof(Treap));
  *middle = (Treap){NULL, NULL, key, priority};
  return join(join(less, middle), more);
}

static uint64_t walk(const Treap* t, uint64_t hash) {
  return t ? walk(t->right, guest_mix(walk(t->left, hash), t->key)) : hash;
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 14);
  uint64_t seed = 21, hash = 0;
  for (long round = 0; round < rounds; round++) {
    Tree* lasting = build(15);
    for (int depth = 4; depth <= 16; depth += 4) {
      int total = 0;
      for (int i = 0; i < 1 << (17 - depth); i++) {
        Tree* tree = build(depth);
        total += count(tree);
        drop(tree);
      }
      hash = guest_mix(hash, (uint64_t)total);
    }
    hash = guest_mix(hash, (uint64_t)count(lasting));
    drop(lasting);
    Treap* root = NULL;
    for (int i = 0; i < 20000; i++) {
      uint64_t r = guest_random(&seed);
      root = toggle(root, (uint32_t)(r % 8192), (uint32_t)(r >> 32));
    }
    hash = walk(root, hash);
  }
  guest_report("trees", hash);
}
