;; A br_table of several targets, and one of two.
(module
  (func (export "switch") (param $n i32) (result i32)
    (block $other (block $c (block $b (block $a
      (br_table $a $b $c $a $b $other (local.get $n)))
      (return (i32.const 11)))
      (return (i32.const 22)))
      (return (i32.const 33)))
    (i32.const 44))
  (func (export "two") (param $n i32) (result i32)
    (block $other (block $a
      (br_table $a $other (local.get $n)))
      (return (i32.const 1)))
    (i32.const 2)))
