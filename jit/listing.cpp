// Listings: see listing.h.
#include "jit/listing.h"

#include <cstdio>
#include <cstdlib>

namespace vmrun::jit {

std::string listing(const Plugin& plugin, const CompiledCode& code) {
  const std::string lines = plugin.disassemble(code.bytes.data(), code.text, 0);
  std::string out;
  uint32_t last = 0;
  for (size_t at = 0; at < lines.size();) {
    size_t end = lines.find('\n', at);
    if (end == std::string::npos) end = lines.size();
    std::string line = lines.substr(at, end - at);
    at = end + 1;
    const auto pc = static_cast<uint32_t>(std::strtoul(line.c_str(), nullptr, 16));
    std::string note;
    if (pc == code.entry && code.unit == kWholeFunction) note += " entry";
    for (const OsrEntry& osr : code.osr) {
      if (osr.pc == pc) note += " entry of the loop at " + std::to_string(osr.loop_offset);
    }
    const uint32_t place = code.place_at(pc, false);
    if (place != last && place != 0) {
      char text[48];
      std::snprintf(text, sizeof text, " %08x", code.own_offset_of(place));
      note += text;
      if ((place & kInlined) != 0) {
        std::snprintf(text, sizeof text, " inlined 0x%x", code.offset_of(place));
        note += text;
      }
      last = place;
    }
    // A pad mark stands at the return address: at the line after the call.
    for (const PadMark& pad : code.pads) {
      if (pad.return_pc == pc) {
        char text[40];
        std::snprintf(text, sizeof text, " thrown through to %x", pad.pad);
        note += text;
      }
    }
    if (!note.empty()) {
      if (line.size() < 60) line.resize(60, ' ');
      line += " ;" + note;
    }
    out += line + '\n';
  }
  return out;
}

Listed compile_listing(Compiler& compiler, const CompileRequest& request) {
  std::string why;
  const Plugin* plugin = load_plugin(&why);
  if (plugin == nullptr) return {false, why};
  const CompileResult result = compiler.compile(request);
  if (result.status != CompileResult::Status::done) return {false, result.reason};
  return {true, listing(*plugin, result.code)};
}

}  // namespace vmrun::jit
