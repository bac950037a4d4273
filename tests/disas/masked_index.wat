;; An index that a mask keeps within the smallest size of the memory, without guard pages.
;; memory: dense
(module
  (memory 1)
  (func (export "entry") (param $key i32) (result i32)
    (i32.load (i32.and (local.get $key) (i32.const 0xfffc))))
  (func (export "byte") (param $key i32) (result i32)
    (i32.load8_u offset=256 (i32.and (local.get $key) (i32.const 255)))))
