;; A branch takes the flags of the comparison before it; nothing makes a 0 or a 1.
(module
  (func (export "clamp") (param $n i32) (param $most i32) (result i32)
    (if (i32.gt_s (local.get $n) (local.get $most))
      (then (return (local.get $most))))
    (local.get $n))
  (func (export "count_down") (param $n i64) (result i64)
    (local $turns i64)
    (block $done
      (loop $again
        (br_if $done (i64.eqz (local.get $n)))
        (local.set $n (i64.shr_u (local.get $n) (i64.const 1)))
        (local.set $turns (i64.add (local.get $turns) (i64.const 1)))
        (br $again)))
    (local.get $turns)))
