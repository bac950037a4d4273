// What lies around a guest while a test runs it: checks that see an escape which does not crash.
//
// The guest's guarded memories stand alone, each in the middle of an area of a terabyte that is not mapped, so that a
// stray access faults outside of all reservations, which is never a trap. Around everything else of the guest lie
// canaries, which are known bytes: instances of another module (memories, tables, globals) in the guest's store and in
// stores that were made before and after it, blocks of the host's heap, the pages before and behind the guest's stack,
// and what a dense memory's slot holds behind the memory.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "vmrun/vmrun.h"

namespace vmrun::test {

class Canaries {
 public:
  /// Before the guest's stores exist, whose stacks have `stack_bytes`. `memories` and `stores` say for how many there
  /// is to be a place.
  Canaries(const Engine& engine, size_t memories, size_t stores, size_t stack_bytes);
  /// After the guest's instances have died.
  ~Canaries();
  Canaries(const Canaries&) = delete;
  Canaries& operator=(const Canaries&) = delete;

  /// A neighbour in a store of the guest, when the guest is there.
  void join(Store& store);
  /// Neighbours behind the guest, when it is there.
  void close();
  /// A memory of the guest's.
  void watch(Memory memory);

  /// What has changed, or "".
  std::string check() const;
  /// How many of the memories that are watched faults guard, and how many of them stand alone.
  size_t guarded() const { return guarded_; }
  size_t alone() const { return alone_; }

 private:
  struct Neighbour;
  struct Area {
    std::byte* begin;
    size_t before, inner, behind;  // the canary or the emptiness before, what the guest has, what is behind
    bool filled;                   // with known bytes
  };
  void place_memory();
  void place_stack(size_t bytes);
  void add_blocks();

  const Engine engine_;
  std::unique_ptr<Module> module_;
  std::deque<Store> stores_;
  std::vector<Neighbour> neighbours_;
  std::vector<Area> areas_;
  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::vector<Memory> watched_;
  size_t guarded_ = 0, alone_ = 0;
};

}  // namespace vmrun::test
