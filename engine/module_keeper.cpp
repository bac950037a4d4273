// See module_keeper.h.
#include "engine/module_keeper.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "engine/file_identity.h"
#include "engine/hot_list.h"
#include "tiering/manager.h"
#include "vm/base/tally.h"
#include "vm/blocks/policy.h"

namespace vmrun::engine {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// Bytes of code that are gathered while the module's tables are locked, some 0.05 ms.
constexpr size_t kAtOnce = 128 << 10;
/// The pauses between looks at what is new begin with this, and double when nothing is, as long as they are shorter than
/// kLongestPause: a short run compiles all the time, and at its end somebody waits for what is left; a long one compiles
/// seldom.
constexpr milliseconds kFirstPause(8), kLongestPause(1000);
/// When, after the start, what is there gets its name; the last one again and again.
constexpr std::chrono::seconds kCheckpoints[] = {2s, 10s, 60s, 600s};

}  // namespace

// ---- the thread -----------------------------------------------------------------------------------------------------

void ModuleKeeper::begin(const vm::Module& module) {
  content_ = start_.content;
  is_large_ = module.image->bytes().size() >= kLargeImage;
  has_code_ = tiering::Manager::stored(module).file != nullptr;
  // What comes from memory is in no file that could be known again, and what is mapped is there.
  image_done_ = !is_large_ || module.image->is_mapped() || !module.image->stamp();
  identity_done_ = image_done_ || !start_.stamp;
  const bool at_once = !content_ || !image_done_ || !identity_done_ || start_.to_confirm || (is_large_ && !has_code_);
  {
    std::lock_guard lock(control_);
    module_ = &module;  // from here on there may be a thread
  }
  if (at_once) start_thread();
}

void ModuleKeeper::made_optimised() {
  if (getpid() == process_) start_thread();
}

void ModuleKeeper::start_thread() {
  std::lock_guard lock(control_);
  if (thread_ || stop_ || module_ == nullptr) return;
  // Signals are for other threads, but those by which this one's own faults are told.
  sigset_t all, before;
  sigfillset(&all);
  for (const int fault : {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGABRT}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  // Without a thread all is done at the end.
  if (pthread_create(&thread, nullptr, &run, this) == 0) thread_ = thread;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ModuleKeeper::end_thread() {
  if (getpid() != process_) return;
  std::optional<pthread_t> thread;
  {
    std::lock_guard lock(control_);
    stop_ = true;
    thread = std::exchange(thread_, std::nullopt);
  }
  changed_.notify_all();
  if (thread) pthread_join(*thread, nullptr);
}

bool ModuleKeeper::stopping() {
  std::lock_guard lock(control_);
  return stop_;
}

bool ModuleKeeper::wait_until(Clock::time_point time) {
  std::unique_lock lock(control_);
  return !changed_.wait_until(lock, time, [this] { return stop_; });
}

void* ModuleKeeper::run(void* self) {
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));
  setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + policy::kCompileNice);
  try {
    static_cast<ModuleKeeper*>(self)->work();
  } catch (const std::bad_alloc&) {  // what is left is tried at the end
  }
  return nullptr;
}

void ModuleKeeper::work() {
  while (!stopping() && prepare()) {
  }
  if (start_.to_confirm) confirm();
  const Clock::time_point began = Clock::now();
  milliseconds pause = kFirstPause;
  for (size_t number = 0;;) {
    const std::chrono::seconds after = kCheckpoints[std::min(number, std::size(kCheckpoints) - 1)];
    const Clock::time_point next = number < std::size(kCheckpoints) ? began + after : Clock::now() + after;
    while (pause < kLongestPause && Clock::now() < next) {
      if (!wait_until(std::min(next, Clock::now() + pause))) return;
      const uint64_t before = kept();
      while (!stopping() && keep_code_some()) {
      }
      pause = kept() != before ? kFirstPause : 2 * pause;
    }
    if (!wait_until(next)) return;
    checkpoint();
    ++number;
  }
}

// ---- the image ------------------------------------------------------------------------------------------------------

FileDescriptor ModuleKeeper::folder() {
  Refusal refusal;
  const int folder = open_cache_folder(config_.folder, true, refusal);
  if (folder < 0) VMRUN_LOG_AT(cache_log(), info, "nothing is stored: {}", refusal.why);
  return FileDescriptor(folder);
}

bool ModuleKeeper::prepare() {
  if (!content_) return hash_some();
  if (!image_done_) return keep_image_some();
  if (identity_done_) return false;
  identity_done_ = true;
  const FileDescriptor in = folder();
  if (in.number >= 0 && !write_identity(in.number, *start_.stamp, {*content_, vm::file_time()})) {
    VMRUN_LOG_AT(cache_log(), info, "the identity of {}'s file is not stored", module_->name);
  }
  return false;
}

bool ModuleKeeper::hash_some() {
  const vm::Image& image = *module_->image;
  if (!hasher_) hasher_.emplace(image.bytes().size(), image.left_out());
  if (const auto range = hasher_->next()) {
    hasher_->add(std::as_bytes(image.bytes().subspan(range->begin, range->size())));
  } else {
    content_ = hasher_->finish();
    hasher_.reset();
  }
  return true;
}

bool ModuleKeeper::keep_image_some() {
  const std::string name = image_name(content_name(*content_), module_->image->bytes().size());
  if (new_image_ == nullptr) {
    FileDescriptor in = folder();
    uint64_t bytes = 0;
    Refusal refusal;
    const FileDescriptor there(in.number < 0 ? -1 : open_cache_file(in.number, name, bytes, refusal));
    image_done_ = in.number < 0 || bytes > config_.max_bytes || module_->image->bytes().size() > config_.max_bytes ||
                  (there.number >= 0 && open_kept_image(there.number, bytes, *content_));
    if (in.number < 0) identity_done_ = true;
    if (image_done_) return true;
    new_image_ = std::make_unique<NewImage>(std::exchange(in.number, -1), *module_, *content_);
  }
  if (new_image_->keeper.step()) return true;
  image_done_ = true;
  NewFile& file = new_image_->file;
  bool written = new_image_->keeper.written();
  if (written) make_room(config_, new_image_->folder.number, name, file.bytes());
  written = written && file.finish(name);
  if (written) {
    VMRUN_LOG_AT(cache_log(), info, "{} is stored, a copy of the image", name);
  } else {
    VMRUN_LOG_AT(cache_log(), info, "{} is not stored: {}", name, file.why());
    identity_done_ = true;
  }
  new_image_.reset();
  return true;
}

void ModuleKeeper::confirm() {
  const vm::Image& image = *module_->image;
  ImageHasher hasher(image.bytes().size(), image.left_out());
  std::vector<std::byte> buffer(vm::ContentHasher::kPiece);
  while (const auto range = hasher.next()) {
    const auto piece = std::span(buffer).first(range->size());
    if (stopping() || !image.read_original(range->begin, piece)) return;
    hasher.add(piece);
  }
  const vm::Digest found = hasher.finish();
  // It may have been changed while it was read, with a trace: the next run will see.
  if (image.original_stamp() != start_.stamp) return;
  const FileDescriptor in = folder();
  if (in.number < 0) return;
  if (found == *content_) {
    write_identity(in.number, *start_.stamp, {*content_, vm::file_time()});
    return;
  }
  VMRUN_LOG_AT(
      cache_log(), warn,
      "the file of {} was changed without a trace in its times; this run executes the image that it had before, "
      "and the next one will read it",
      module_->display_name());
  forget_identity(in.number, *start_.stamp);
}

// ---- code -----------------------------------------------------------------------------------------------------------

bool ModuleKeeper::is_worth(const tiering::News& news) const {
  return is_worth_storing(news, saved_, !has_code_ && is_large_);
}

bool ModuleKeeper::begin_code() {
  if (new_code_ != nullptr) return true;
  if (gave_up_) return false;
  FileDescriptor in = folder();
  gave_up_ = in.number < 0;
  if (gave_up_) return false;
  new_code_ = std::make_unique<NewCode>(std::exchange(in.number, -1));
  // The header comes last.
  gave_up_ = !new_code_->file.skip(jit::stored::kPage);
  return !gave_up_;
}

bool ModuleKeeper::keep_code_some() {
  if (new_code_ == nullptr && !is_worth(tiering::Manager::news(*module_))) return false;
  if (!begin_code() || gave_up_) return false;
  const bool more = tiering::Manager::keep_new(*module_, new_code_->next_new, kAtOnce, new_code_->stream);
  gave_up_ = !new_code_->stream.flush() || new_code_->file.bytes() > config_.max_bytes;
  return more && !gave_up_;
}

bool ModuleKeeper::finish_code(const tiering::News& news) {
  const std::string name = CacheKey{*content_, news.settings}.name();
  bool written = begin_code();
  while (written && keep_code_some()) {
  }
  written = written && !gave_up_;
  while (written && tiering::Manager::keep_old(*module_, new_code_->next_old, kAtOnce, new_code_->stream)) {
    written = new_code_->stream.flush() && new_code_->file.bytes() <= config_.max_bytes;
  }
  jit::stored::About about;
  about.module = module_;
  about.content = *content_;
  about.settings = news.settings;
  const auto header = written ? new_code_->stream.finish(about) : std::nullopt;
  written = header && new_code_->file.bytes() <= config_.max_bytes &&
            new_code_->file.put(0, std::as_bytes(std::span(&*header, 1)));
  if (written) make_room(config_, new_code_->folder.number, name, new_code_->file.bytes());
  written = written && new_code_->file.finish(name);
  if (written) {
    vm::count(vm::tally.cache_stores);
    VMRUN_LOG_AT(cache_log(), info, "{} is stored, {} bytes", name, new_code_->file.bytes());
    has_code_ = true;
  } else {
    const std::string why = new_code_ != nullptr ? new_code_->file.why() : "the folder cannot be used";
    VMRUN_LOG_AT(cache_log(), info, "{} is not stored: {}", name, why.empty() ? "it is too large" : why);
  }
  new_code_.reset();
  gave_up_ = false;
  saved_ = news;
  return written;
}

void ModuleKeeper::finish_hot(const tiering::News& news) {
  if (!has_heat(news)) return;
  const FileDescriptor in = folder();
  if (in.number < 0) return;
  // Once: what this run has written at a checkpoint is none of an earlier one.
  if (!hot_before_ && start_.content) {
    const tiering::StoredCode came = tiering::Manager::stored(*module_);
    hot_before_ = {came.hot, came.run, came.hot_runs};
  } else if (!hot_before_) {
    hot_before_ = read_hot(in.number, *content_);
  }
  if (!write_hot(in.number, *content_, merge_hot({news.hot, Clock::now() - began_}, *hot_before_))) {
    VMRUN_LOG_AT(cache_log(), info, "{} is not stored", hot_name(content_name(*content_)));
  }
}

bool ModuleKeeper::checkpoint() {
  const tiering::News news = tiering::Manager::news(*module_);
  const bool stored = is_worth(news) && finish_code(news);
  finish_hot(news);
  return stored;
}

bool ModuleKeeper::finish() {
  if (getpid() != process_) return false;
  std::lock_guard lock(work_);
  end_thread();
  if (module_ == nullptr) return false;
  // The copy of an image that is run for the first time is not worth waiting for: the next run makes it.
  if (!start_.content && !image_done_) {
    new_image_.reset();
    image_done_ = true;
  }
  while (prepare()) {
  }
  if (module_->image->is_mapped() && vm::damaged_pieces() != damaged_before_) {
    // The next run reads the image, and makes another copy.
    const FileDescriptor in = folder();
    const std::string name = image_name(content_name(*content_), module_->image->bytes().size());
    if (in.number >= 0 && unlinkat(in.number, name.c_str(), 0) == 0) {
      VMRUN_LOG_AT(cache_log(), info, "{} goes: it was damaged", name);
    }
  }
  return checkpoint();
}

}  // namespace vmrun::engine
