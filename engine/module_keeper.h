// Keeps in a folder what the next run of a module may use: its image, by what the image's file is known again, its code,
// and what of it was hot. Much of that is done by a thread while the module runs, so that its end need not wait:
//
//   at the start  hash the image, if the start could do without; write the copy of it; confirm that the image's file still
//                 has the bytes that were believed
//   meanwhile     write new code into a file that has no name yet
//   now and then  complete that file and give it its name, so that who is killed loses little (kCheckpoints)
//
// Module::store, at the end, does what is left, but for the copy of an image that the cache did not know
// before. The thread works at lower priority; whoever wants it to end waits for its next small step, and no longer. There
// is no thread where none of this is to be done: for a small image, and for one that the cache knows, not before there is
// optimised code.
//
// Threads. The tasks and all they have belong to the thread while there is one, else to whoever holds work_. Lock order:
// work_, then a module's tiers, then control_, which is innermost and guards only whether there is a thread and whether
// it is to end. A child that the process has forked has no such thread, and does nothing here.
#pragma once

#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "engine/cache.h"
#include "engine/cache_files.h"
#include "engine/cache_keeper.h"
#include "engine/hot_list.h"
#include "engine/image_content.h"
#include "engine/kept_image.h"
#include "jit/stored/stream.h"
#include "tiering/stored.h"
#include "vm/wasm/kept_damage.h"

namespace vmrun::engine {

class ModuleKeeper final : public CacheKeeper {
 public:
  ModuleKeeper(const CacheConfig& config, const ImageFacts& start) : config_(config), start_(start) {}
  ~ModuleKeeper() override { end_thread(); }

  void begin(const vm::Module& module) override;
  void stop() override { end_thread(); }
  bool finish() override;
  void made_optimised() override;

 private:
  using Clock = std::chrono::steady_clock;
  /// A file of code that is being written.
  struct NewCode {
    explicit NewCode(int folder_number)
        : folder(folder_number),
          file(folder_number),
          stream([this](std::span<const std::byte> bytes) { return file.write(bytes); }) {}
    const FileDescriptor folder;
    NewFile file;
    jit::stored::Stream stream;
    uint64_t next_new = 0;
    size_t next_old = 0;
  };
  struct NewImage {
    NewImage(int folder_number, const vm::Module& module, const vm::Digest& content)
        : folder(folder_number), file(folder_number), keeper(file, module, content) {}
    const FileDescriptor folder;
    NewFile file;
    ImageKeeper keeper;
  };

  static void* run(void* self);
  void start_thread();
  void end_thread();
  void work();
  bool stopping();
  /// Waits, unless the thread is to end: then false.
  bool wait_until(Clock::time_point time);

  // Tasks; each call does a small step.
  /// False: nothing of it is left.
  bool prepare();
  bool hash_some();
  bool keep_image_some();
  void confirm();
  /// Whether it is worth to store code.
  bool is_worth(const tiering::News& news) const;
  bool begin_code();
  /// Writes what is new. False: nothing is left, or it cannot be written.
  bool keep_code_some();
  /// A number that rises with what is written of the code.
  uint64_t kept() const { return new_code_ != nullptr ? new_code_->next_new : 0; }
  bool finish_code(const tiering::News& news);
  void finish_hot(const tiering::News& news);
  bool checkpoint();
  FileDescriptor folder();

  const CacheConfig config_;
  const ImageFacts start_;
  const pid_t process_ = getpid();
  const Clock::time_point began_ = Clock::now();
  const uint64_t damaged_before_ = vm::damaged_pieces();
  const vm::Module* module_ = nullptr;

  std::mutex control_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::optional<pthread_t> thread_;

  std::mutex work_;
  std::optional<vm::Digest> content_;
  std::optional<ImageHasher> hasher_;
  bool image_done_ = false, identity_done_ = false, gave_up_ = false;
  std::unique_ptr<NewImage> new_image_;
  std::unique_ptr<NewCode> new_code_;
  bool is_large_ = false;
  bool has_code_ = false;  // the cache has a file of it
  tiering::News saved_;    // at the last checkpoint
  std::optional<HotList> hot_before_;
};

}  // namespace vmrun::engine
