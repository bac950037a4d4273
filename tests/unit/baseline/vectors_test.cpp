// Vectors in every place that values can be: all tiers give what is right, and did run what they should.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/ok.h"
#include "vm/runtime/store.h"
#include "vm/wasm/loops.h"
#include "vm/wasm/module.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

using test::ok;

/// What each function gives for 0 to 5, called in that order, by another engine.
struct Row {
  const char* name;
  int64_t results[6];
};
constexpr Row kRows[] = {
    {"many parameters",
     {-4235825387322327845, -4295955144220692669, -4218645561096000837, -4278775317990365613, -4338905049114926645,
      -4399034806013291461}},
    {"tail call",
     {-4235825387322327845, -4295955144220692669, -4218645561096000837, -4278775317990365613, -4338905049114926645,
      -4399034806013291461}},
    {"by reference",
     {-2763515892106367941, -4722600333890810525, 2785520296823815307, -2870890529773901277, -4829974928604670885,
      -2666103956390314317}},
    {"many results",
     {-4846217260063800898, -4867692156676343062, -5026606419061745590, -5048081315674287754, -5069556246630568234,
      -4953591777454249966}},
    {"blocks",
     {-7460471983115534824, 4294984476869188, 0, -8040294346110994936, -3879320066179072720, -8426842330409930584}},
    {"several in blocks",
     {1180163571890309256, 1455129583086286964, 7339546741817996674, 1420769741647071900, 1180163571890309256,
      1352050058760641732}},
    {"if", {-1000004, -1000004, -1000004, -1000004, -3814895376359446336, -3836370272965988464}},
    {"select",
     {5134400192080632168, 5048500605654463656, 4962600950508818408, 8060024671975119840, 8038549792548446896,
      8017074895941904768}},
    {"loop",
     {-2874696584849977508, -2930531322903734756, -2917646360883192580, -2973481133296688196, 3602133510782200476,
      3615018455622873436}},
    {"globals",
     {7378201567734080926, -3720405812390604858, 3606255967407849662, -7535301223109789562, -251589219344550114,
      7010647887814147206}},
    {"live across calls",
     {-5766304864876645996, -4817361864802608578, -7669151190183199152, 4398178226650075326, -1174201192691245384,
      -3228864539733055568}},
    {"exceptions",
     {6217375922883616140, 3528363034090699796, 1215914154337312828, 3904927042506287204, 1215910833386454412,
      3528363006442634516}},
    {"many locals",
     {134973188309572399, -2674964873126032628, 8165602738224247230, -6915189502971929530, -5478432626988504053,
      -8009090709266290931}},
};
/// The same of "hot loop" for 0 to 19.
constexpr int64_t kHotLoop[] = {4681521424848499449,  -955505071110049130,  -4069094550034426353, -7472911987523160092,
                                -6143388634902584483, -6231007308843463462, -6391191738585859213, -8800703068231968536,
                                1059631183610897217,  -1260028093720258626, 7341862953300271703,  1703388077332780236,
                                750751300220136613,   -4018664841234992862, -9175563259405629029, -6567394422662829776,
                                1603238771088816297,  7643199850651941126,  5179789637167999103,  4801435249286148372};

struct World {
  Engine engine;
  Store store{engine};
  Linker linker{engine};
  Instance instance;

  explicit World(Tiers tiers)
      : engine([&] {
          Config config;
          config.tiers = tiers;
          config.count_runs = true;
          return config;
        }()),
        instance(ok(linker.instantiate(store, ok(Module::compile_file(engine, VMRUN_FIXTURES "/vectors.wasm"))))) {}

  int64_t call(const char* name, int32_t n) {
    return ok(ok(ok(instance.func(name)).typed<int64_t(int32_t)>()).call(n));
  }
  const vm::TierCounts& counts(const char* name, vm::Tier tier) {
    const vm::FuncRecord& func = *ok(instance.func(name)).impl();
    return vm::counts_of(*func.code)[static_cast<size_t>(tier)];
  }
};

}  // namespace

TEST_CASE("vectors wherever values can be") {
  World interp(Tiers::Interp), baseline(Tiers::Baseline), opt(Tiers::Opt);
  for (const Row& row : kRows) {
    CAPTURE(row.name);
    for (int32_t n = 0; n < 6; ++n) {
      CAPTURE(n);
      for (World* world : {&interp, &baseline, &opt}) CHECK(world->call(row.name, n) == row.results[n]);
    }
    CHECK(baseline.counts(row.name, vm::Tier::baseline).runs >= 6);
    CHECK(opt.counts(row.name, vm::Tier::opt).runs >= 6);
  }
}

TEST_CASE("vectors go along when a loop is entered in the middle") {
  World interp(Tiers::Interp), mixed(Tiers::InterpBaseline), all(Tiers::Auto);
  for (int32_t n = 0; n < 20; ++n) {
    CAPTURE(n);
    for (World* world : {&interp, &mixed, &all}) CHECK(world->call("hot loop", n) == kHotLoop[n]);
  }
  CHECK(mixed.counts("hot loop", vm::Tier::baseline).osr_entries > 0);
}
