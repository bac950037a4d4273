;; Tables of branches whose labels take values, and name the same label at several places in any order.
(module
  (func (export "values") (param i32) (result i32)
    (block $outer (result i32)
      (i32.add (i32.const 100)
        (block $middle (result i32)
          (i32.add (i32.const 1000)
            (block $inner (result i32)
              (br_table $outer $inner $middle $inner $outer $middle $outer $inner
                (i32.const 7) (local.get 0)))))))))
(assert_return (invoke "values" (i32.const 0)) (i32.const 7))
(assert_return (invoke "values" (i32.const 1)) (i32.const 1107))
(assert_return (invoke "values" (i32.const 2)) (i32.const 107))
(assert_return (invoke "values" (i32.const 3)) (i32.const 1107))
(assert_return (invoke "values" (i32.const 4)) (i32.const 7))
(assert_return (invoke "values" (i32.const 5)) (i32.const 107))
(assert_return (invoke "values" (i32.const 6)) (i32.const 7))
(assert_return (invoke "values" (i32.const 7)) (i32.const 1107))
(assert_return (invoke "values" (i32.const -1)) (i32.const 1107))
