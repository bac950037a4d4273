#include "ways.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "engine/engine_impl.h"
#include "jit/code/reclaim.h"
#include "tiering/manager.h"
#include "vm/wasm/loops.h"

namespace vmrun::test {
namespace {

const std::vector<Way>& all_ways() {
  auto way = [](const char* name, Effort effort, Tiers tiers, Force force = Force::nothing) {
    Way way{name, {}, force, tiers == Tiers::Opt || tiers == Tiers::Auto || tiers == Tiers::Steps};
    way.config.effort = effort;
    way.config.tiers = tiers;
    way.config.compile_threads = 1;
    return way;
  };
  auto with = [](Way way, bool Config::* option) {
    way.config.*option = true;
    return way;
  };
  auto inlining = [](Way way, Inlining inlining) {
    way.config.inlining = inlining;
    return way;
  };
  auto threads = [](Way way) {
    way.threads = 3;
    return way;
  };
  auto stored = [](Way way) {
    way.stored = true;
    return way;
  };
  auto alone = [](Way way) {
    way.alone = true;
    return way;
  };
  auto each = [](Way way) {
    way.each = true;
    return way;
  };
  auto node = [](Way way) {
    way.node = true;
    return way;
  };
  static const std::vector<Way> all = {
      way("quick", Effort::Quick, Tiers::Interp),
      each(way("quick-each", Effort::Quick, Tiers::Interp)),
      way("careful", Effort::Careful, Tiers::Interp),
      way("effort", Effort::Auto, Tiers::Interp),
      with(way("quick-dense", Effort::Quick, Tiers::Interp), &Config::dense_memory),
      with(way("careful-dense", Effort::Careful, Tiers::Interp), &Config::dense_memory),
      way("baseline", Effort::Auto, Tiers::Baseline),
      with(way("baseline-dense", Effort::Auto, Tiers::Baseline), &Config::dense_memory),
      with(way("profile", Effort::Auto, Tiers::Baseline), &Config::profile),
      with(way("eager", Effort::Auto, Tiers::InterpBaseline), &Config::eager_baseline),
      way("loops", Effort::Careful, Tiers::InterpBaseline, Force::loops),
      with(way("loops-profile", Effort::Quick, Tiers::InterpBaseline, Force::loops), &Config::profile),
      way("auto", Effort::Auto, Tiers::InterpBaseline),
      with(way("disturb", Effort::Auto, Tiers::InterpBaseline, Force::disturb), &Config::profile),
      threads(way("threads", Effort::Auto, Tiers::InterpBaseline, Force::disturb)),
      stored(way("stored", Effort::Auto, Tiers::Baseline)),
      stored(with(way("stored-dense", Effort::Auto, Tiers::Baseline), &Config::dense_memory)),
      stored(way("stored-opt", Effort::Auto, Tiers::Opt)),
      way("opt", Effort::Auto, Tiers::Opt),
      with(way("opt-dense", Effort::Auto, Tiers::Opt), &Config::dense_memory),
      inlining(way("opt-calls", Effort::Auto, Tiers::Opt), Inlining::Off),
      inlining(way("opt-inline", Effort::Auto, Tiers::Opt), Inlining::All),
      inlining(with(way("opt-inline-dense", Effort::Auto, Tiers::Opt), &Config::dense_memory), Inlining::All),
      way("loops-opt", Effort::Quick, Tiers::Auto, Force::loops_opt),
      inlining(way("loops-inline", Effort::Quick, Tiers::Auto, Force::loops_opt), Inlining::All),
      way("loops-alone", Effort::Quick, Tiers::Auto, Force::loops_alone),
      inlining(way("loops-alone-inline", Effort::Quick, Tiers::Auto, Force::loops_alone), Inlining::All),
      alone(way("loops-alone-stored", Effort::Auto, Tiers::Auto)),
      with(way("loops-alone-dense", Effort::Quick, Tiers::Auto, Force::loops_alone), &Config::dense_memory),
      with(way("steps", Effort::Auto, Tiers::Steps), &Config::profile),
      way("all", Effort::Auto, Tiers::Auto),
      with(way("disturb-opt", Effort::Auto, Tiers::Auto, Force::disturb), &Config::profile),
      inlining(way("disturb-inline", Effort::Auto, Tiers::Auto, Force::disturb), Inlining::All),
      threads(way("threads-opt", Effort::Auto, Tiers::Auto, Force::disturb)),
      node(way("node", Effort::Auto, Tiers::Interp)),
  };
  return all;
}

/// Promotions at random of the functions of a module and of their loops.
tiering::Schedule make_schedule(const vm::Module& module, Force force, std::mt19937_64& random) {
  tiering::Schedule schedule;
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  const auto tier = [&] { return force == Force::loops_opt && below(2) != 0 ? vm::Tier::opt : vm::Tier::baseline; };
  for (uint32_t f = module.imported_funcs; f < module.funcs.size(); ++f) {
    if (below(4) == 0 && force != Force::loops_alone) {
      schedule.push_back({f, jit::kWholeFunction, below(3), tier()});
    }
    const vm::LoopTable* loops = vm::loops_of(module.code(f));
    for (uint32_t i = 0; loops != nullptr && i < loops->count; ++i) {
      const uint32_t at = loops->loops[i].offset;
      if (force == Force::loops_alone) {
        if (below(4) != 0) schedule.push_back({f, jit::kAlone | at, 1 + below(3), vm::Tier::opt});
        if (below(4) == 0) schedule.push_back({f, at, 1 + below(6), vm::Tier::baseline});
        continue;
      }
      if (below(4) != 0) schedule.push_back({f, at, 1 + below(4), tier()});
      // From one tier into the next, some iterations later.
      if (force == Force::loops_opt && below(2) == 0) schedule.push_back({f, at, 1 + below(6), vm::Tier::opt});
    }
  }
  return schedule;
}

/// So many promotions into optimised code are made in a run: each takes milliseconds.
constexpr int kMostOptimised = 40;

/// Something that may happen to a module at any time. `opt` says how many promotions into optimised code are left.
void disturb(const vm::Module& module, int& opt, std::mt19937_64& random) {
  const auto below = [&](size_t n) { return static_cast<uint32_t>(random() % n); };
  const auto own = static_cast<uint32_t>(module.funcs.size()) - module.imported_funcs;
  if (module.tiers == nullptr || own == 0) return;
  const uint32_t f = module.imported_funcs + below(own);
  vm::FuncCode& code = module.code(f);
  vm::LoopTable* loops = below(2) != 0 ? vm::loops_of(code) : nullptr;
  vm::LoopCode* loop = loops != nullptr && loops->count != 0 ? &loops->loops[below(loops->count)] : nullptr;
  switch (below(6)) {
    case 0:
    case 1:  // as hot as the policy wants it to be for anything
      if (opt > 0) --opt;
      for (uint32_t n = 1u << below(opt > 0 ? 10 : 5); n > 0; --n) {
        if (loop != nullptr) {
          module.tiers->hot_loop(module.tiers, code, *loop, code.tier.load());
        } else {
          module.tiers->hot_function(module.tiers, code);
        }
      }
      return;
    case 2:
    case 3: {
      const vm::Tier tier = opt > 0 && below(4) == 0 ? vm::Tier::opt : vm::Tier::baseline;
      if (tier == vm::Tier::opt) --opt;
      const uint32_t alone = tier == vm::Tier::opt && below(2) != 0 ? jit::kAlone : 0;
      tiering::Manager::promote(module, f, tier, loop != nullptr ? loop->offset | alone : jit::kWholeFunction);
      return;
    }
    case 4:
      for (uint32_t n = 1 + below(3); n > 0; --n) static_cast<tiering::ModuleTiers*>(module.tiers)->drop_oldest();
      return;
    default: jit::reclaim_code(); return;
  }
}

}  // namespace

std::string way_names() {
  std::string names;
  for (const Way& way : all_ways()) names += (names.empty() ? "" : ",") + way.name;
  return names;
}

std::vector<Way> make_ways(std::string_view names) {
  std::vector<Way> chosen;
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find(',', begin), names.size());
    const std::string_view name = names.substr(begin, end - begin);
    const auto found = std::ranges::find(all_ways(), name, &Way::name);
    if (found == all_ways().end()) {
      std::fprintf(stderr, "there is no way '%.*s'; there are %s\n", static_cast<int>(name.size()), name.data(),
                   way_names().c_str());
      std::exit(2);
    }
    chosen.push_back(*found);
    begin = end + 1;
  }
  return chosen;
}

Result<Module> load(const Way& way, std::span<const uint8_t> image, uint64_t seed) {
  Engine engine(way.config);
  if (way.force == Force::loops || way.force == Force::loops_opt || way.force == Force::loops_alone) {
    // Offsets of loops, from a module that is never run.
    Config plain = way.config;
    plain.tiers = Tiers::Interp;
    Result<Module> module = Module::compile(Engine(plain), image, "fuzz");
    if (!module) return module;
    std::mt19937_64 random(seed);
    engine.impl()->tiers->set_schedule(make_schedule(*module->impl(), way.force, random));
  }
  if (way.alone) {
    Result<Module> made = Module::compile(Engine(way.config), image, "fuzz");
    if (!made) return made;
    const vm::Module& module = *made->impl();
    std::mt19937_64 random(seed);
    int left = kMostOptimised;
    for (uint32_t f = module.imported_funcs; f < module.funcs.size(); ++f) {
      const vm::LoopTable* loops = vm::loops_of(module.code(f));
      for (uint32_t i = 0; loops != nullptr && i < loops->count && left > 0; ++i) {
        if (random() % 4 == 0) continue;
        tiering::Manager::promote(module, f, vm::Tier::opt, jit::kAlone | loops->loops[i].offset);
        --left;
      }
    }
    SerializeOptions options;
    options.code = SerializeOptions::Code::Present;
    const Result<std::vector<uint8_t>> bytes = made->serialize(options);
    if (!bytes) return bytes.error();
    return Module::deserialize(engine, *bytes, "fuzz");
  }
  if (way.stored) {
    SerializeOptions options;
    options.code = way.opt ? SerializeOptions::Code::Opt : SerializeOptions::Code::Baseline;
    Result<Module> made = Module::compile(Engine(way.config), image, "fuzz");
    if (!made) return made;
    const Result<std::vector<uint8_t>> bytes = made->serialize(options);
    if (!bytes) return bytes.error();
    return Module::deserialize(engine, *bytes, "fuzz");
  }
  Result<Module> made = Module::compile(engine, image, "fuzz");
  // Before anything of it is translated.
  if (made && way.each) const_cast<vm::Module&>(*made->impl()).charges_each = true;
  return made;
}

std::function<void()> disturbance(const Way& way, const Module& module, uint64_t seed) {
  if (way.force != Force::disturb) return {};
  auto random = std::make_shared<std::mt19937_64>(seed);
  return [random, opt = way.opt ? kMostOptimised : 0, code = module.impl()]() mutable {
    if ((*random)() % 3 == 0) disturb(*code, opt, *random);
  };
}

}  // namespace vmrun::test
