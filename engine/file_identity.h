// By what an image's file is known again without reading it, and when that may be believed.
//
// A record says: the file of this device and inode, with this size and these times, had an image of this hash. Whoever
// writes a file changes its time of change, which nobody can set; so the same identity is the same bytes, but for this:
//   - Times have a grain. A file that was changed less than kSettled before it was read may be changed again without a
//     trace: no record is made of it, and none believed.
//   - Some file systems keep no times of change of their own (FUSE, network file systems, read-only archives): only known
//     ones are trusted.
//   - What is written through a mapping leaves no trace until the system has written it back. So does root, who can set
//     the clock or write past the file system; and a crash can lose the time of a write that it has not lost.
// For the last, records are confirmed: a run that believes one reads and hashes the file in the background, at most once in
// kConfirmAfter, and the first run after kBelieved reads it before it begins. What can happen until then is that a run
// executes the image as it was before somebody wrote it, whole: all of its bytes come from the cache's own copy. Nothing can
// make it execute a mixture, or another image's code.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "vm/base/file_stamp.h"
#include "vm/base/sha256.h"

namespace vmrun::engine {

inline constexpr std::chrono::seconds kSettled(3), kConfirmAfter(600), kBelieved(24 * 3600);

/// What a record says.
struct KnownFile {
  vm::Digest content;     // image_content of the image in it
  int64_t confirmed = 0;  // when it was last read and hashed: nanoseconds since 1970
};

/// Whether a file's bytes, read at `now` or later, belong to its stamp.
bool is_settled(const vm::FileStamp& stamp, int64_t now);
/// Whether its file system keeps times of change.
bool keeps_change_times(const vm::FileStamp& stamp);

/// The record of a file in a cache's folder; nothing: there is none, it is damaged, or about another state of the file.
std::optional<KnownFile> read_identity(int folder, const vm::FileStamp& stamp);
bool write_identity(int folder, const vm::FileStamp& stamp, const KnownFile& known);
void forget_identity(int folder, const vm::FileStamp& stamp);

}  // namespace vmrun::engine
