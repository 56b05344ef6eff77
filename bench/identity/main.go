// Command identity is the scorecard of session identity. Traffic of several kinds, generated from a seed, goes as bytes
// through the parser, the identify step and the router of the data plane, onto eight servers in simulated time. For each kind
// it says how many turns reached the server of the turn before, and how even the load was. It fails where a goal is missed.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	seed := flag.Uint64("seed", 1, "what the traffic is generated from")
	scale := flag.Int("scale", 10, "how long everything goes on, in tenths")
	flag.Parse()
	os.Exit(run(*seed, *scale, os.Stdout, os.Stderr))
}

// run prints the scorecard, and what of the goals was missed.
func run(seed uint64, scale int, out, errors io.Writer) (code int) {
	all := classes()
	for _, c := range all {
		if err := c.run(seed, scale); err != nil {
			fmt.Fprintf(errors, "%s: %v\n", c.name, err)
			return 1
		}
	}
	fmt.Fprint(out, table(all))
	for _, c := range all {
		for _, m := range c.missed() {
			fmt.Fprintln(errors, "missed:", m)
			code = 1
		}
	}
	return code
}
