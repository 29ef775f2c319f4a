// The component's entry: its exports are in bindings/, which `castoff plugin build` writes; the process is in plugin/.
package main

import _ "{{name}}/bindings/wit_exports"

func main() {}
