"""One HTML file in which a model runs: the C library as WebAssembly, the same bytes as a board's.

page    wasm     clang and lld: library and model to a module (page.c is what joins them)
        facts    what the script knows of the model, as JSON
        flasher  another page: writes a firmware to an ESP32 (flash.js)
        *.js     bytes, model, views, inputs, listen, wire, board, main: one script, in this order
"""

from nanotool.page.render import render

__all__ = ["render"]
