// Files of stored code: what is written is read again, whatever is damaged is found out, and no bytes lead anywhere.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "jit/code/install.h"
#include "jit/compiler.h"
#include "jit/stored/piece.h"
#include "jit/stored/reader.h"
#include "jit/stored/stream.h"
#include "jit/stored/writer.h"
#include "tests/support/ok.h"
#include "tests/unit/jit/guest.h"
#include "vm/wasm/image.h"
#include "vmrun/vmrun.h"

using namespace vmrun;
using namespace vmrun::test;
using namespace vmrun::jit::stored;

namespace {

using Bytes = std::vector<std::byte>;

/// A module, and a file of all its functions by both compilers.
struct Written {
  Engine engine{interpreted()};
  Module module = fixture(engine, "jit_text");
  std::unique_ptr<jit::Compiler> baseline = jit::make_baseline_compiler();
  std::vector<jit::CompiledCode> codes;
  Bytes file;

  const vm::Module& image() const { return *module.impl(); }
  Written() {
    jit::Compiler* opt = jit::load_opt_compiler(nullptr);
    REQUIRE(opt != nullptr);
    std::vector<Unit> units;
    for (jit::Compiler* compiler : {opt, baseline.get()}) {
      for (uint32_t i = image().imported_funcs; i < image().funcs.size(); ++i) {
        jit::CompileRequest request;
        request.module = &image();
        request.func_index = i;
        jit::CompileResult result = compiler->compile(request);
        REQUIRE(result.status == jit::CompileResult::Status::done);
        const auto size = static_cast<uint32_t>(result.code.bytes.size());
        units.push_back({i, jit::kWholeFunction, compiler->tier(), 0, size, {}});
        units.back().piece = make_piece(result.code, result.code.bytes, image());
        REQUIRE(!units.back().piece.empty());
        codes.push_back(std::move(result.code));
      }
    }
    file = write_file(std::move(units));
  }
  Bytes write_file(std::vector<Unit> units) {
    About about;
    about.module = &image();
    about.image = image().image->bytes();
    about.content = vm::content_hash(std::as_bytes(about.image));
    Bytes out;
    REQUIRE(write(about, std::move(units), [&](std::span<const std::byte> bytes) {
      out.insert(out.end(), bytes.begin(), bytes.end());
      return true;
    }));
    return out;
  }
};

Result<std::shared_ptr<const File>> open(Bytes bytes, File::Fit fit = File::Fit::required) {
  return File::open(source_of(std::move(bytes)), fit);
}

/// With the hashes that it ought to have.
Bytes sealed(Bytes file, const Header& header) {
  Header all = header;
  all.header_hash = vm::sha256(std::as_bytes(std::span(&all, 1)).first(offsetof(Header, header_hash)));
  std::memcpy(file.data(), &all, sizeof all);
  return file;
}
Header header_of(const Bytes& file) {
  Header header;
  std::memcpy(&header, file.data(), sizeof header);
  return header;
}

/// Code as it lies in code memory: with the types' numbers in it.
Bytes installed(const jit::CompiledCode& code) {
  Bytes bytes(code.bytes.begin(), code.bytes.end());
  jit::write_types(code, bytes);
  return bytes;
}

bool same_tables(const jit::CodeTables& a, const jit::CodeTables& b) {
  const auto same = [](const auto& x, const auto& y, auto... members) {
    return std::ranges::equal(x, y, [&](const auto& p, const auto& q) { return ((p.*members == q.*members) && ...); });
  };
  return a.text == b.text && a.tier == b.tier && a.unit == b.unit && a.entry == b.entry &&
         a.counts_runs == b.counts_runs && a.profile_words == b.profile_words &&
         same(a.osr, b.osr, &jit::OsrEntry::loop_offset, &jit::OsrEntry::pc) &&
         same(a.marks, b.marks, &jit::SourceMark::pc, &jit::SourceMark::place) &&
         same(a.pads, b.pads, &jit::PadMark::return_pc, &jit::PadMark::pad) &&
         same(a.preempt, b.preempt, &jit::PreemptRange::begin, &jit::PreemptRange::end) &&
         same(a.inlined, b.inlined, &jit::InlinedPlace::func_index, &jit::InlinedPlace::offset,
              &jit::InlinedPlace::caller) &&
         same(a.types, b.types, &jit::TypeUse::at, &jit::TypeUse::type, &jit::TypeUse::as);
}

}  // namespace

TEST_CASE("stored: what is written is read again") {
  Written written;
  const auto file = ok(open(written.file));
  CHECK(file->units().size() == written.codes.size());
  for (const jit::CompiledCode& code : written.codes) {
    const UnitRecord* record = file->find(code.func_index, code.unit, code.tier);
    REQUIRE(record != nullptr);
    const auto loaded = file->load(*record, written.image());
    REQUIRE(loaded);
    CHECK(same_tables(*loaded, code));
    CHECK(std::ranges::equal(installed(*loaded), code.bytes));
    // The same of bytes that lie in no memory, which are copied.
    const auto copied = read_piece(file->piece(*record), *record, written.image());
    REQUIRE(copied);
    CHECK(same_tables(*copied, code));
    CHECK(std::ranges::equal(copied->bytes, code.bytes));
    CHECK(loaded->func_index == code.func_index);
  }
  CHECK(file->find(0, 5, vm::Tier::opt) == nullptr);
  CHECK(file->find(1000, jit::kWholeFunction, vm::Tier::opt) == nullptr);
  const auto image = ok(file->image("jit_text"));
  CHECK(std::ranges::equal(image->bytes(), written.image().image->bytes()));
  CHECK(file->header().validated == 1);
  // The same once more: nothing of the process is in the file.
  Written again;
  CHECK(again.file == written.file);
}

TEST_CASE("stored: a file that comes into being unit by unit is read as one that was written whole") {
  Written written;
  Bytes out(kPage);
  const auto sink = [&](std::span<const std::byte> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
    return true;
  };
  Stream stream(sink);
  const auto whole = ok(open(written.file));
  size_t half = written.codes.size() / 2;
  for (const jit::CompiledCode& code : written.codes) {
    if (half != 0) {
      stream.add(code.func_index, code, code.bytes, written.image());
      if (--half % 3 == 0) CHECK(stream.flush());
      stream.add(code.func_index, code, code.bytes, written.image());  // there is one of that name
    }
  }
  size_t added = stream.units();
  CHECK(added == written.codes.size() / 2);
  // The rest from a file.
  for (UnitRecord record : whole->units()) {
    record.idle = 7;
    stream.add_stored(record, whole->piece(record));
  }
  CHECK(stream.units() == written.codes.size());
  About about;
  about.module = &written.image();
  about.settings = {3, 4};
  const auto header = stream.finish(about);
  REQUIRE(header);
  std::memcpy(out.data(), &*header, sizeof *header);
  const auto file = ok(open(out));
  CHECK(file->header().settings == about.settings);
  CHECK(!file->has_image());
  REQUIRE(file->units().size() == written.codes.size());
  for (const jit::CompiledCode& code : written.codes) {
    const UnitRecord* record = file->find(code.func_index, code.unit, code.tier);
    REQUIRE(record != nullptr);
    const auto loaded = file->load(*record, written.image());
    REQUIRE(loaded);
    CHECK(same_tables(*loaded, code));
    CHECK(std::ranges::equal(installed(*loaded), code.bytes));
    CHECK(record->idle == (added > 0 ? 0 : 7));
    if (added > 0) --added;
  }
  // Without units.
  out.resize(kPage);
  Stream none(sink);
  const auto empty = none.finish(about);
  REQUIRE(empty);
  std::memcpy(out.data(), &*empty, sizeof *empty);
  CHECK(ok(open(out))->units().empty());
  // What is refused once is refused for good.
  bool taken = false;
  Stream refused([&](std::span<const std::byte>) { return std::exchange(taken, true); });
  refused.add(written.codes[0].func_index, written.codes[0], written.codes[0].bytes, written.image());
  CHECK(!refused.flush());
  CHECK(!refused.flush());
  CHECK(!refused.finish(about));
}

TEST_CASE("stored: a file that is mapped is read as one in memory") {
  Written written;
  char path[] = "/tmp/vmrun-mapped-XXXXXX";
  const int descriptor = mkstemp(path);
  REQUIRE(descriptor >= 0);
  unlink(path);
  REQUIRE(::write(descriptor, written.file.data(), written.file.size()) == static_cast<ssize_t>(written.file.size()));
  const auto file = ok(File::open(mapped_source_of(descriptor, written.file.size())));
  for (const jit::CompiledCode& code : written.codes) {
    const UnitRecord* record = file->find(code.func_index, code.unit, code.tier);
    REQUIRE(record != nullptr);
    const auto loaded = file->load(*record, written.image());
    REQUIRE(loaded);
    CHECK(loaded->storage == nullptr);  // it is not copied
    CHECK(std::ranges::equal(installed(*loaded), code.bytes));
  }
  CHECK(!File::open(mapped_source_of(memfd_create("empty", MFD_CLOEXEC), 0)));
}

TEST_CASE("stored: of two units of one name the first is kept") {
  Written written;
  const auto file = ok(open(written.file));
  const UnitRecord& record = file->units()[0];
  std::vector<Unit> units;
  for (uint32_t idle : {1, 2}) {
    units.push_back({record.func_index, record.unit, static_cast<vm::Tier>(record.tier), idle, record.code_size,
                     file->piece(record)});
  }
  const auto twice = ok(open(written.write_file(std::move(units))));
  REQUIRE(twice->units().size() == 1);
  CHECK(twice->units()[0].idle == 1);
}

TEST_CASE("stored: a file that is cut short is refused, wherever") {
  Written written;
  for (size_t size = 0; size < written.file.size(); size += size < 400 ? 1 : 97) {
    CAPTURE(size);
    const auto refused = open(Bytes(written.file.begin(), written.file.begin() + static_cast<ptrdiff_t>(size)));
    REQUIRE(!refused);
    CHECK(refused.error().message.find("compile the image again") != std::string::npos);
  }
  Bytes longer = written.file;
  longer.push_back(std::byte{0});
  CHECK(!open(longer));
}

TEST_CASE("stored: each changed byte is found out, or lies where nobody looks") {
  Written written;
  const Header header = header_of(written.file);
  const auto good = ok(open(written.file));
  const auto in = [](const Range& range, size_t at) { return at >= range.at && at - range.at < range.size; };
  size_t found = 0;
  for (size_t at = 0; at < written.file.size(); at += at < 400 || in(header.index, at) ? 1 : 13) {
    Bytes file = written.file;
    file[at] ^= std::byte{0x10};
    const auto opened = open(file);
    const bool used = at < sizeof(Header) || in(header.image, at) || in(header.index, at) || in(header.code, at);
    CAPTURE(at);
    if (at < sizeof(Header) || in(header.index, at)) {
      CHECK(!opened);
      ++found;
      continue;
    }
    REQUIRE(opened);
    const bool image = static_cast<bool>((*opened)->image("x"));
    bool code = true;
    for (const UnitRecord& record : (*opened)->units()) code &= (*opened)->load(record, written.image()).has_value();
    CHECK(image == !in(header.image, at));
    CHECK(code == !in(header.code, at));
    CHECK((image && code) == !used);
    found += used;
  }
  CHECK(found > 1000);
}

TEST_CASE("stored: files of other builds, processors and formats are refused with the reason") {
  Written written;
  Header header = header_of(written.file);
  const auto refused = [&](const char* why) {
    const auto file = open(sealed(written.file, header));
    REQUIRE(!file);
    CHECK(file.error().kind == ErrorKind::Unsupported);
    CHECK(file.error().message.find(why) != std::string::npos);
    CHECK(file.error().message.find("compile the image again") != std::string::npos);
  };
  header.build[5] ^= 1;
  refused("another build");
  CHECK(open(sealed(written.file, header), File::Fit::ignored));
  header = header_of(written.file);
  header.processor[7] |= 1;
  refused("processor");
  CHECK(open(sealed(written.file, header), File::Fit::ignored));
  header = header_of(written.file);
  header.format = 2;
  refused("format 2");
  CHECK(!open(sealed(written.file, header), File::Fit::ignored));
}

TEST_CASE("stored: code for fewer instructions runs, code for more does not") {
  const ProcessorBits here = this_processor();
  CHECK(here[0] != 0);
  CHECK(here == this_processor());
  CHECK(runs_on(here, here));
  CHECK(runs_on({}, here));
  ProcessorBits more = here;
  for (size_t i = 0; i < here.size(); ++i) {
    for (unsigned bit = 0; bit < 32; ++bit) {
      if ((here[i] >> bit & 1) != 0) continue;
      more[i] |= 1u << bit;
      CHECK(!runs_on(more, here));
      CHECK(runs_on(here, more));
      more[i] = here[i];
    }
  }
}

TEST_CASE("stored: sections that lie anywhere else are refused") {
  Written written;
  for (Range Header::* section : {&Header::image, &Header::index, &Header::code}) {
    for (uint64_t at : {uint64_t{0}, uint64_t{64}, uint64_t{4097}, uint64_t{1} << 40, ~uint64_t{0} - 4095}) {
      Header header = header_of(written.file);
      (header.*section).at = at;
      CHECK(!open(sealed(written.file, header)));
    }
    for (uint64_t size : {uint64_t{1} << 40, ~uint64_t{0}, ~uint64_t{0} - 4096}) {
      Header header = header_of(written.file);
      (header.*section).size = size;
      CHECK(!open(sealed(written.file, header)));
    }
  }
  for (uint32_t count : {0u, 1u, kMaxUnits, ~0u}) {
    Header header = header_of(written.file);
    header.unit_count = count;
    CHECK(!open(sealed(written.file, header)));
  }
}

TEST_CASE("stored: a piece of any bytes is refused, or stays inside of itself") {
  Written written;
  const auto file = ok(open(written.file));
  std::mt19937_64 random(1);
  size_t taken = 0, refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    UnitRecord record = file->units()[random() % file->units().size()];
    Bytes piece = file->piece(record);
    const size_t tables = std::min<size_t>(piece.size(), piece.size() - record.code_size);
    for (size_t n = 1 + random() % 4; n > 0; --n) {
      // Most of it in the numbers of entries and in the tables.
      const size_t at = random() % (random() % 2 == 0 ? sizeof(PieceHead) : tables);
      piece[at] = random() % 2 == 0 ? std::byte{0xff} : static_cast<std::byte>(random());
    }
    if (random() % 8 == 0) piece.resize(random() % (piece.size() + 1));
    const auto code = read_piece(std::move(piece), record, written.image());
    ++(code ? taken : refused);
    if (!code) continue;
    CHECK(code->text <= code->bytes.size());
    for (uint32_t pc = 0; pc <= code->text; pc += 1 + pc / 64) {
      const uint32_t place = code->place_at(pc, round % 2 == 0);
      CHECK(code->offset_of(place) < written.module.size());
      CHECK((code->own_offset_of(place) & jit::kInlined) == 0);
    }
  }
  CHECK(taken > 100);
  CHECK(refused > 100);
}

TEST_CASE("stored: chains of inlined callers that do not end are refused") {
  Written written;
  const auto file = ok(open(written.file));
  const UnitRecord& record = file->units()[0];
  const auto code = ok(open(written.file))->load(record, written.image());
  REQUIRE(code);
  jit::CodeTables tables = *code;
  const auto read = [&](std::vector<uint32_t> callers) {
    tables.inlined.clear();
    for (uint32_t caller : callers) tables.inlined.push_back({record.func_index, 20, caller});
    UnitRecord its = record;
    return read_piece(make_piece(tables, code->bytes, written.image()), its, written.image()).has_value();
  };
  constexpr uint32_t kIn = jit::kInlined;
  CHECK(read({}));
  CHECK(read({20, kIn | 0, kIn | 1, kIn | 0}));
  CHECK(read({kIn | 1, kIn | 2, 20}));
  CHECK(!read({kIn | 0}));
  CHECK(!read({kIn | 1, kIn | 0}));
  CHECK(!read({20, kIn | 2, kIn | 3, kIn | 1}));
  CHECK(!read({kIn | 5}));
}
