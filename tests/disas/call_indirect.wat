;; A call through a table: the index is in bounds, the entry is there, and its type is the call's.
(module
  (type $unary (func (param i32) (result i32)))
  (table 4 funcref)
  (func (export "call") (param $which i32) (param $n i32) (result i32)
    (call_indirect (type $unary) (local.get $n) (local.get $which))))
