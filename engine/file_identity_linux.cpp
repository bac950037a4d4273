// See file_identity.h.
#include <linux/magic.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <span>

#include "engine/cache_files.h"
#include "engine/file_identity.h"
#include "vm/base/checksum.h"

namespace vmrun::engine {
namespace {

constexpr std::array<char, 8> kIdentityMagic = {'v', 'm', 'r', 'u', 'n', '\0', 'i', 'd'};
constexpr uint32_t kIdentityFormat = 1;

struct IdentityRecord {
  std::array<char, 8> magic = kIdentityMagic;
  uint32_t format = kIdentityFormat, reserved = 0;
  vm::FileStamp stamp;
  KnownFile known;
  uint64_t checksum = 0;  // of what stands above
};
static_assert(sizeof(IdentityRecord) == 112);

uint64_t record_checksum(const IdentityRecord& record) {
  return vm::checksum(std::as_bytes(std::span(&record, 1)).first(offsetof(IdentityRecord, checksum)));
}

std::string identity_of(const vm::FileStamp& stamp) {
  return identity_name(vm::Sha256().add_number(stamp.device).add_number(stamp.inode).finish().hex(16));
}

}  // namespace

bool is_settled(const vm::FileStamp& stamp, int64_t now) {
  return stamp.changed <= now - std::chrono::nanoseconds(kSettled).count();
}

bool keeps_change_times(const vm::FileStamp& stamp) {
  // Those on disks and in memory. On overlays it depends on what lies below.
  constexpr int64_t kXfs = 0x58465342, kF2fs = 0xf2f52010, kZfs = 0x2fc12fc1, kBcachefs = 0xca451a4e;
  constexpr int64_t kKnown[] = {EXT4_SUPER_MAGIC, kXfs, BTRFS_SUPER_MAGIC, TMPFS_MAGIC, kF2fs, kZfs, kBcachefs};
  return std::ranges::find(kKnown, stamp.file_system & 0xffffffff) != std::end(kKnown);
}

std::optional<KnownFile> read_identity(int folder, const vm::FileStamp& stamp) {
  uint64_t bytes = 0;
  Refusal refusal;
  const FileDescriptor file(open_cache_file(folder, identity_of(stamp), bytes, refusal));
  IdentityRecord record;
  if (file.number < 0 || bytes != sizeof record) return std::nullopt;
  if (!read_whole(file.number, 0, std::as_writable_bytes(std::span(&record, 1)))) return std::nullopt;
  if (record.magic != kIdentityMagic || record.format != kIdentityFormat ||
      record.checksum != record_checksum(record) || record.stamp != stamp) {
    return std::nullopt;
  }
  return record.known;
}

bool write_identity(int folder, const vm::FileStamp& stamp, const KnownFile& known) {
  IdentityRecord record;
  record.stamp = stamp;
  record.known = known;
  record.checksum = record_checksum(record);
  NewFile file(folder);
  return file.write(std::as_bytes(std::span(&record, 1))) && file.finish(identity_of(stamp));
}

void forget_identity(int folder, const vm::FileStamp& stamp) { unlinkat(folder, identity_of(stamp).c_str(), 0); }

}  // namespace vmrun::engine
