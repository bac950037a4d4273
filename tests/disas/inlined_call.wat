;; Calls of small functions: their instructions stand in the caller, and a trap in them is told from one of the caller.
(module
  (memory 1)
  (func $at (param $base i32) (param $i i32) (result i32)
    (i32.load (i32.add (local.get $base) (i32.mul (local.get $i) (i32.const 12)))))
  (func (export "sum") (param $base i32) (param $i i32) (param $j i32) (result i32)
    (i32.add (call $at (local.get $base) (local.get $i)) (call $at (local.get $base) (local.get $j)))))
