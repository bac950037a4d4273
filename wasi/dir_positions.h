// DirPositions: where the host's listing of a directory stands behind the entries read so far.
//
// A guest's cookie is a number of entries, the host's position is a number of the file system's own. Going on at a
// cookie needs the position that belongs to it, or one before it. A directory may be of any size and a guest may open
// it often, so a descriptor keeps at most kMost positions: once there are as many, it drops every other and notes
// only every second entry from then on. What lies between two positions is read again and skipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vmrun::wasi {

class DirPositions {
 public:
  static constexpr size_t kMost = 1024;

  struct Place {
    uint64_t count;    // so many entries lie before it
    int64_t position;  // the host's
  };

  void clear() { *this = DirPositions(); }

  /// Notes that `count` entries (at least one) lie before the host's `position`. Entries are noted in order; one that
  /// was noted before takes its new position.
  void note(uint64_t count, int64_t position) {
    if (count % stride_ != 0) return;
    const uint64_t index = count / stride_ - 1;
    if (index < positions_.size()) {
      positions_[index] = position;
    } else if (index == positions_.size()) {
      positions_.push_back(position);
      if (positions_.size() == kMost) thin_out();
    }
  }

  /// Notes the place where the guest will most likely go on.
  void expect(uint64_t count, int64_t position) { expected_ = {count, position}; }

  /// The last place that is known at or before `count` entries.
  Place before(uint64_t count) const {
    if (expected_.count == count) return expected_;
    const uint64_t known = count / stride_ < positions_.size() ? count / stride_ : positions_.size();
    return known == 0 ? Place{0, 0} : Place{known * stride_, positions_[known - 1]};
  }

  size_t kept() const { return positions_.size(); }

 private:
  void thin_out() {
    for (size_t i = 1; i < positions_.size(); i += 2) positions_[i / 2] = positions_[i];
    positions_.resize(positions_.size() / 2);
    stride_ *= 2;
  }

  std::vector<int64_t> positions_;  // [i]: behind (i + 1) * stride_ entries
  uint64_t stride_ = 1;
  Place expected_{0, 0};
};

}  // namespace vmrun::wasi
