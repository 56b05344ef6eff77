// Command identity prints the scorecard of session identity. It generates several kinds of traffic from a seed, and sends
// them as bytes through the parser, the identify step and the router of the data plane, to eight servers in simulated time.
// For each kind the scorecard has the share of turns that reached the server of the turn before, and the distribution of the
// load. The command fails if a goal is missed. All other files are tested in identity_test.go.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	seed := flag.Uint64("seed", 1, "seed of the traffic")
	scale := flag.Int("scale", 10, "length of the simulation, in tenths")
	flag.Parse()
	os.Exit(run(*seed, *scale, os.Stdout, os.Stderr))
}

// run prints the scorecard and the goals that were missed.
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
