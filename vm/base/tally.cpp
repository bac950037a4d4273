#include "vm/base/tally.h"

namespace vmrun::vm {

constinit Tally tally;

}  // namespace vmrun::vm
