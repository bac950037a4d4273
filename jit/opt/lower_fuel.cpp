// Lowering: fuel (vm/wasm/fuel.h, docs/fuel.md). What is left is a value like a local's. It comes as the last parameter of a
// call, and goes back as the last result (jit/crossing/abi.h).
//
// Others look at Vcpu::fuel: callees, helpers, whoever finds the guest behind a fault, the caller. It is stored in front of
// these where something was charged since, and not at each charge; a trap stores it in its own block, out of the way. A
// guest that is stopped from outside may be asked about as well, so loops that store nothing else do (pay_ahead.h).
#include "jit/opt/lower.h"
#include "jit/opt/places.h"

namespace vmrun::jit::opt {

void Lowering::charge(D& d, uint32_t units) {
  at(d);
  llvm::Value* fuel = b_.CreateLoad(b_.getInt64Ty(), fuel_);
  llvm::Value* paid = b_.CreateBinaryIntrinsic(llvm::Intrinsic::usub_with_overflow, fuel, i64(units));
  unit_.charges.push_back(llvm::cast<llvm::Instruction>(paid));
  trap_if(b_.CreateExtractValue(paid, 1), vm::TrapCode::OutOfFuel);
  b_.CreateStore(b_.CreateExtractValue(paid, 0), fuel_);
  unit_.fuel_saved_in = nullptr;
}

void Lowering::pay(llvm::Value* units) {
  llvm::Value* fuel = b_.CreateLoad(b_.getInt64Ty(), fuel_);
  llvm::Value* paid = b_.CreateBinaryIntrinsic(llvm::Intrinsic::usub_with_overflow, fuel, units);
  trap_if(b_.CreateExtractValue(paid, 1), vm::TrapCode::OutOfFuel);
  b_.CreateStore(b_.CreateExtractValue(paid, 0), fuel_);
  unit_.fuel_saved_in = nullptr;
}

void Lowering::take_fuel(llvm::Value* left) {
  b_.CreateStore(left, fuel_);
  unit_.fuel_saved_in = b_.GetInsertBlock();
}

void Lowering::read_fuel() {
  if (fuel_ != nullptr) take_fuel(load_field(b_.getInt64Ty(), cx_, layout::vcpu::fuel));
}

void Lowering::assert_left(llvm::Value* left) {
  if constexpr (!kCheckInvariants) return;
  die_if(b_.CreateICmpNE(left, load_field(b_.getInt64Ty(), cx_, layout::vcpu::fuel)));
}

void Lowering::save_fuel() {
  if (fuel_ == nullptr || unit_.fuel_saved_in == b_.GetInsertBlock()) return;
  unit_.fuel_saved_in = b_.GetInsertBlock();
  llvm::Value* left = b_.CreateLoad(b_.getInt64Ty(), fuel_);
  mark_ordered(*b_.CreateStore(left, offset(cx_, layout::vcpu::fuel)));
}

}  // namespace vmrun::jit::opt
