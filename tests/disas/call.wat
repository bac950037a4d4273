;; Arguments and results in registers, and what lives across a call.
(module
  (func $other (param i32 i64) (result i64)
    (i64.add (local.get 1) (i64.extend_i32_u (local.get 0))))
  (func (export "caller") (param $n i32) (result i64)
    (i64.mul
      (call $other (local.get $n) (i64.const 5))
      (i64.extend_i32_s (local.get $n))))
  (func (export "tail") (param i64) (result i64)
    (return_call $other (i32.const 7) (local.get 0))))
