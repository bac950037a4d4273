// Images that need no validation any more.
#pragma once

#include <memory>
#include <span>

#include "vm/wasm/module.h"

namespace vmrun::vm {

/// decode_module of an image of which somebody trustworthy knows that it is valid, that its bodies use no more than the
/// features `used`, and that nothing in it is valid but not executed: the bodies are not looked at. Where options.features
/// lacks one of `used`, it is decode_module. `bodies`: where the bodies of the own functions lie, from who has decoded the
/// image before; then the code section is not read. Ranges that are not in order in the section are an error of kind
/// Malformed.
Result<std::shared_ptr<Module>> decode_validated_module(std::shared_ptr<const Image> image,
                                                        std::shared_ptr<TypeRegistry> registry,
                                                        const DecodeOptions& options, Features used,
                                                        std::span<const ByteRange> bodies = {});

}  // namespace vmrun::vm
