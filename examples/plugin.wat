;; What the README's example loads.
(module
  (import "host" "log" (func $log (param i32)))
  (func (export "add") (param i32 i32) (result i32)
    (call $log (local.get 0))
    (call $log (local.get 1))
    (i32.add (local.get 0) (local.get 1))))
