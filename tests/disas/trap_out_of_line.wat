;; What traps seldom lies behind the code that always runs.
(module
  (func (export "divide") (param i32 i32) (result i32)
    (i32.div_s (local.get 0) (local.get 1)))
  (func (export "truncate") (param f64) (result i32)
    (i32.trunc_f64_s (local.get 0)))
  (func (export "never") (param i32) (result i32)
    (if (local.get 0) (then (unreachable)))
    (i32.const 1)))
