"""Runs a WASI image with the wasmtime package from PyPI: runner.py [--dir HOST[::GUEST]] [--preload NAME=IMAGE] IMAGE [args...]

Used where no wasmtime command is on the machine. Start-up of the Python interpreter is part of its times.
"""
import sys

import wasmtime


def main():
    args = sys.argv[1:]
    wasi = wasmtime.WasiConfig()
    preloads = []
    while args and args[0].startswith("--"):
        option, value = args.pop(0), args.pop(0)
        if option == "--dir":
            host, _, guest = value.partition("::")
            wasi.preopen_dir(host, guest or host)
        elif option == "--preload":
            preloads.append(value.split("=", 1))
        elif option == "--env":
            wasi.env = [tuple(value.split("=", 1))]
    wasi.argv = args
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    config = wasmtime.Config()
    for feature in ("wasm_exceptions", "wasm_function_references", "wasm_gc"):
        if hasattr(type(config), feature):
            setattr(config, feature, True)
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    store.set_wasi(wasi)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    for name, image in preloads:
        instance = linker.instantiate(store, wasmtime.Module.from_file(engine, image))
        initialize = instance.exports(store).get("_initialize")
        if initialize:
            initialize(store)
        linker.define_instance(store, name, instance)
    instance = linker.instantiate(store, wasmtime.Module.from_file(engine, args[0]))
    try:
        instance.exports(store)["_start"](store)
    except wasmtime.ExitTrap as exit_:
        return exit_.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
