;; Where memory has no guard pages, an access is compared with the memory's size. The trap is out of the way.
;; memory: dense
(module
  (memory 1)
  (func (export "load") (param $at i32) (result i64)
    (i64.load offset=8 (local.get $at)))
  (func (export "store_twice") (param $at i32) (param $value i32)
    (i32.store offset=4 (local.get $at) (local.get $value))
    (i32.store (local.get $at) (local.get $value))))
