// Command tether is a reverse proxy in front of vLLM servers that keeps every conversation on the server that
// already holds its KV cache. main.go is tested by the scripts of package cli.
package main

import (
	"os"

	"tether/cli"
)

// version is set by the build.
var version = "dev"

func main() { os.Exit(cli.Main(version, os.Args[1:], os.Stdout, os.Stderr)) }
