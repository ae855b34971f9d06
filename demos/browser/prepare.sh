#!/bin/sh
# Puts beside the page what it needs and git does not hold: the exported model, and onnxruntime-web from npm.
set -e
cd "$(dirname "$0")"
VERSION=1.23.2
${RNN_HUB:-rnn-hub} export ../../model_cards/rnn-text-shakespeare --output model --quantize int8
mkdir -p ort
package=$(npm pack --silent onnxruntime-web@$VERSION --pack-destination ort)
tar -xzf "ort/$package" -C ort --strip-components=2 package/dist/ort.wasm.min.mjs \
    package/dist/ort-wasm-simd-threaded.mjs package/dist/ort-wasm-simd-threaded.wasm
rm "ort/$package"
