;; A select takes the flags of the comparison before it, and does not branch.
(module
  (func (export "minimum") (param i32 i32) (result i32)
    (select (local.get 0) (local.get 1) (i32.lt_s (local.get 0) (local.get 1))))
  (func (export "absolute") (param i64) (result i64)
    (select (local.get 0) (i64.sub (i64.const 0) (local.get 0)) (i64.ge_s (local.get 0) (i64.const 0)))))
