// Command shape prints how much of the source a reader must hold in mind: exported names, methods, files, lines, and the places
// that judge a failed attempt. It exits with 1 if the tree exceeds a limit. It counts the Go files of one module without
// tests, and skips e2e, which holds nothing but tests.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	flag.Parse()
	dir := "."
	if flag.NArg() > 0 {
		dir = flag.Arg(0)
	}
	os.Exit(run(dir, os.Stdout, os.Stderr))
}

// run prints the tables of the tree in dir and returns the exit code: 1 where the tree cannot be read or exceeds a limit.
func run(dir string, out, errors io.Writer) (code int) {
	t, err := read(dir)
	if err != nil {
		fmt.Fprintln(errors, err)
		return 1
	}
	measures := t.measures()
	fmt.Fprintf(out, "%s\n%s", packageTable(t), measureTable(measures))
	for _, m := range measures {
		if m.exceeded() {
			fmt.Fprintf(errors, "exceeded: %s: %s, limit %s\n", m.name, figures(m.now), figures(m.limits))
			code = 1
		}
	}
	return code
}
