;; An i32 becomes an i64, or an address: where its upper half is known to be zero, nothing clears it.
(module
  (memory 1)
  (func (export "widened") (param i32 i32) (result i64)
    (i64.extend_i32_u (i32.add (local.get 0) (local.get 1))))
  (func (export "loaded") (param i32) (result i32)
    (i32.load (i32.load (local.get 0))))
  (func (export "wrapped") (param i64) (result i32)
    (i32.load8_u (i32.wrap_i64 (local.get 0)))))
