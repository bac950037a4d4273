// See sealed.h.
#include "engine/sealed.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/cache_files.h"
#include "jit/stored/format.h"

namespace vmrun {
namespace engine {
namespace {

constexpr std::array<char, 8> kTrailerMagic = {'v', 'm', 'r', 'u', 'n', '\0', 'm', 'c'};
/// Of HMAC-SHA-256. Another one would be another way to compute it.
constexpr uint32_t kAlgorithm = 1;

struct Trailer {
  std::array<char, 8> magic = kTrailerMagic;
  uint32_t algorithm = kAlgorithm;
  uint32_t zero = 0;
  vm::Digest mac;
};
static_assert(sizeof(Trailer) == 48);

/// The first bytes of another source.
class Front final : public jit::stored::Source {
 public:
  Front(std::unique_ptr<Source> all, uint64_t size) : all_(std::move(all)), size_(size) {}
  uint64_t size() const override { return size_; }
  bool read(uint64_t at, std::span<std::byte> to) const override {
    return at <= size_ && to.size() <= size_ - at && all_->read(at, to);
  }

 private:
  const std::unique_ptr<Source> all_;
  const uint64_t size_;
};

void begin(vm::HmacSha256& mac, std::string_view purpose) {
  mac.add("vmrun stored code").add_number(purpose.size()).add(purpose);
}

bool is_trailer(const Trailer& trailer) {
  return trailer.magic == kTrailerMagic && trailer.algorithm == kAlgorithm && trailer.zero == 0;
}

std::shared_ptr<const std::vector<uint8_t>> secret(std::vector<uint8_t> bytes) {
  return {new std::vector<uint8_t>(std::move(bytes)), [](std::vector<uint8_t>* wiped) {
            explicit_bzero(wiped->data(), wiped->size());
            delete wiped;
          }};
}

Error no_mac() {
  return Error(ErrorKind::Malformed,
               "there is no MAC, and one is asked for; compile it with the key: vmrun compile --mac-key KEY");
}

Error wrong_size(size_t size) {
  return Error(ErrorKind::Usage, "a MAC key has " + std::to_string(MacKey::kLeast) + " to " +
                                     std::to_string(MacKey::kMost) + " bytes, and this one " + std::to_string(size) +
                                     "; head -c 32 /dev/urandom > FILE makes one");
}

}  // namespace

Sealing::Sealing(const MacKey& key, std::string_view purpose, jit::stored::Sink sink)
    : mac_(key.bytes()), sink_(std::move(sink)) {
  begin(mac_, purpose);
}

bool Sealing::write(std::span<const std::byte> bytes) {
  mac_.add(bytes);
  return sink_(bytes);
}

bool Sealing::finish() {
  Trailer trailer;
  trailer.mac = mac_.finish();
  return sink_(std::as_bytes(std::span(&trailer, 1)));
}

Unsealed without_mac(std::unique_ptr<jit::stored::Source> source) {
  Trailer trailer;
  const uint64_t size = source->size();
  if (size < sizeof trailer || !source->read(size - sizeof trailer, std::as_writable_bytes(std::span(&trailer, 1))) ||
      !is_trailer(trailer)) {
    return {std::move(source), false};
  }
  return {std::make_unique<Front>(std::move(source), size - sizeof trailer), true};
}

Result<std::vector<std::byte>> verified(std::unique_ptr<jit::stored::Source> source, std::string_view purpose,
                                        const MacKey& key) try {
  const uint64_t size = source->size();
  if (size > jit::stored::kMaxBytes) {
    return Error(ErrorKind::Malformed, "the compiled image is larger than there can be");
  }
  std::vector<std::byte> bytes(size);
  if (!source->read(0, bytes)) return Error(ErrorKind::Io, "the compiled image cannot be read");
  Trailer trailer;
  if (size < sizeof trailer) return no_mac();
  std::memcpy(&trailer, bytes.data() + size - sizeof trailer, sizeof trailer);
  if (!is_trailer(trailer)) return no_mac();
  bytes.resize(size - sizeof trailer);
  vm::HmacSha256 mac(key.bytes());
  begin(mac, purpose);
  if (!vm::equal_in_constant_time(mac.add(bytes).finish(), trailer.mac)) {
    return Error(ErrorKind::Malformed,
                 "its MAC is not right under this key: it was made with another one, or was changed since");
  }
  return bytes;
} catch (const std::bad_alloc&) {
  return Error(ErrorKind::Limit, "no memory for the compiled image");
}

}  // namespace engine

Result<MacKey> MacKey::from_bytes(std::span<const uint8_t> bytes) {
  if (bytes.size() < kLeast || bytes.size() > kMost) return engine::wrong_size(bytes.size());
  return MacKey(engine::secret({bytes.begin(), bytes.end()}));
}

Result<MacKey> MacKey::read_file(const std::filesystem::path& path) {
  const engine::FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (file.number < 0 || fstat(file.number, &info) != 0) {
    return Error(ErrorKind::Io, "cannot read the key " + path.string() + ": " + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) return Error(ErrorKind::Io, "the key " + path.string() + " is no regular file");
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size < kLeast || size > kMost) {
    Error error = engine::wrong_size(size);
    error.message = path.string() + ": " + error.message;
    return error;
  }
  std::vector<uint8_t> bytes(size);
  if (!engine::read_whole(file.number, 0, std::as_writable_bytes(std::span(bytes)))) {
    return Error(ErrorKind::Io, "cannot read the key " + path.string());
  }
  return MacKey(engine::secret(std::move(bytes)));
}

}  // namespace vmrun
