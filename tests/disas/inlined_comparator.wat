;; A sort by a comparator of the table: the call is a comparison of the table's entry with the one function that it may be,
;; and behind that the comparator's own instructions. Any other entry takes the checked way.
(module
  (type $less (func (param i32 i32) (result i32)))
  (memory 1)
  (table 2 funcref)
  (elem (i32.const 1) func $ascending)
  (func $ascending (type $less)
    (i32.lt_s (i32.load (local.get 0)) (i32.load (local.get 1))))
  (func (export "sift") (param $at i32) (param $begin i32) (param $less i32) (local $v i32)
    (local.set $v (i32.load (local.get $at)))
    (block $placed
      (loop $next
        (br_if $placed (i32.le_u (local.get $at) (local.get $begin)))
        (br_if $placed (i32.eqz (call_indirect (type $less)
          (local.get $at) (i32.sub (local.get $at) (i32.const 4)) (local.get $less))))
        (i32.store (local.get $at) (i32.load (i32.sub (local.get $at) (i32.const 4))))
        (local.set $at (i32.sub (local.get $at) (i32.const 4)))
        (i32.store (local.get $at) (local.get $v))
        (br $next)))))
