// What the active data segments of a module write at instantiation, worked out once for all instances.
//
// The first instance of a module copies segment by segment. From the second one on there is an image: segments that lie close
// to one another are one piece, and where they are many, pages of a file in memory, which instances map and which is copied page by
// page as they write to it. No guest sees a difference. The image stands for the module's first segments, as long as each of them
// is passive, or writes to a memory that the module makes itself, at a constant place within its first size: these
// cannot trap, and no other code runs before them. The rest are copied one by one afterwards.
//
// Threads: any; what is there never changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "vm/runtime/instance.h"
#include "vm/wasm/module.h"

namespace vmrun::vm {

class DataImage {
 public:
  /// Bytes between two segments that one piece bridges, with zeros.
  static constexpr uint64_t kGap = 64;
  /// So many bytes of segments, with no more than that between any two, are worth a mapping.
  static constexpr uint64_t kMapped = 256u << 10;

  /// Null: the module has nothing for it, or there is no memory for it.
  static std::shared_ptr<const DataImage> make(const Module& module);
  ~DataImage();
  DataImage(const DataImage&) = delete;
  DataImage& operator=(const DataImage&) = delete;

  /// How many of the module's first data segments it stands for.
  uint32_t segments() const { return static_cast<uint32_t>(dropped_.size()); }
  /// Does what copying and dropping these segments does. Nobody has written to the memories before.
  void apply(Instance& instance) const;
  /// Bytes that instances copy, and bytes that they may map instead of copying.
  uint64_t copied_bytes() const { return bytes_.size(); }
  uint64_t mapped_bytes() const { return file_bytes_; }

 private:
  DataImage() = default;

  /// Bytes in a row.
  struct Piece {
    uint32_t memory;
    uint64_t address;
    uint64_t size;
    uint64_t at;  // where they are in bytes_, or in the file
  };
  /// Whole pages of a memory that are in the file, and what of them is not zero.
  struct Mapped {
    Piece pages;
    std::vector<Piece> pieces;
  };
  bool plan(const Module& module);
  void fill(const Module& module, std::byte* file);
  bool fill_file(const Module& module);

  std::vector<Piece> pieces_;   // in bytes_; sorted
  std::vector<Mapped> mapped_;  // one for a memory at most
  std::vector<std::byte> bytes_;
  std::vector<uint8_t> dropped_;  // for each segment whether it is
  int file_ = -1;
  const std::byte* view_ = nullptr;  // of the file
  uint64_t file_bytes_ = 0;
};

/// Copies the active data segments of the instance's module into its memories, in order, and drops them. A trap leaves
/// what came before it.
TrapCode copy_data(Instance& instance);

}  // namespace vmrun::vm
