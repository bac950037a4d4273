;; Seed: atomics on shared memory.
(module
  (memory 1 1 shared)
  (func (export "atomics") (param i32) (result i64)
    (drop (i32.atomic.rmw8.cmpxchg_u (local.get 0) (i32.const 0) (i32.const 1)))
    (drop (i32.atomic.rmw.add offset=4 (local.get 0) (i32.const 5)))
    (drop (memory.atomic.notify (local.get 0) (i32.const 1)))
    (drop (memory.atomic.wait32 (local.get 0) (i32.const 77) (i64.const 10)))
    (atomic.fence)
    (i64.atomic.rmw.xchg (local.get 0) (i64.const 9))))
