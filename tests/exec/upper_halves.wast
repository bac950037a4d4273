;; An i32 made from an i64 is its lower half, whatever is done to it before it is widened again: identities and chains of
;; them must not hand the upper half on.
(module
  (func $y (param $y i64) (result i32) (i32.wrap_i64 (i64.add (local.get $y) (i64.const 1))))
  (func (export "add_zero") (param $y i64) (result i64)
    (i64.extend_i32_u (i32.add (i32.wrap_i64 (i64.add (local.get $y) (i64.const 1))) (i32.const 0))))
  (func (export "add_sub") (param $y i64) (result i64)
    (i64.extend_i32_u
      (i32.sub (i32.add (i32.wrap_i64 (i64.add (local.get $y) (i64.const 1))) (i32.const 7)) (i32.const 7))))
  (func (export "min") (param $y i64) (param $z i64) (result i64)
    (select (local.get $y) (local.get $z)
            (i32.lt_s (i32.wrap_i64 (local.get $y)) (i32.wrap_i64 (local.get $z))))))
(assert_return (invoke "add_zero" (i64.const 0x1234500000041)) (i64.const 0x42))
(assert_return (invoke "add_sub" (i64.const 4294967301)) (i64.const 6))
(assert_return (invoke "min" (i64.const 42949672965) (i64.const 12884901894)) (i64.const 42949672965))
(assert_return (invoke "min" (i64.const 0x100000001) (i64.const 0x200000005)) (i64.const 0x100000001))
