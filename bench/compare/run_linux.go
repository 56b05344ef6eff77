package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// run prints the table and returns the exit code: 1 if something failed or a floor was missed.
func run(ctx context.Context, o options, out, errors io.Writer) (code int) {
	if o.mapSessions > 0 {
		return printMap(ctx, o.mapSessions, out, errors)
	}
	began := time.Now()
	descriptors, err := raiseDescriptors()
	if err != nil {
		fmt.Fprintln(errors, err)
		return 1
	}
	selected, err := selectRows(o.rows, descriptors/2-spare)
	if err != nil {
		fmt.Fprintln(errors, err)
		return 2
	}
	runtime.LockOSThread() // the peers end with the thread that starts them
	defer runtime.UnlockOSThread()
	runtime.GOMAXPROCS(runtime.NumCPU() + 3) // both loops wait without telling the scheduler
	l, err := newLab(ctx, o, descriptors, out)
	defer l.close()
	if err != nil {
		fmt.Fprintln(errors, err)
		return 1
	}
	l.describe(out)
	var all []*results
	for rest := selected; len(rest) > 0; {
		var together []*row
		together, rest = takingTurns(rest)
		measured, err := l.runRows(ctx, together)
		if err != nil {
			fmt.Fprintln(errors, err)
			return 1
		}
		for _, results := range measured {
			printRow(out, results, l.tethers)
			if results.broken() {
				code = 1
			}
		}
		all = append(all, measured...)
	}
	if missed := printGoals(out, all, l.engine); missed > 0 {
		fmt.Fprintln(errors, "floors missed:", missed)
		code = 1
	}
	fmt.Fprintf(out, "\n%d rounds in %v.\n", o.rounds, time.Since(began).Round(time.Second))
	return code
}

// runRows measures rows that have the same columns and number of rounds. The columns take turns in each round, and the direct run ends it. The rows take
// turns as well. It returns an error if ctx ended.
func (l *lab) runRows(ctx context.Context, together []*row) (all []*results, err error) {
	columns, rounds := l.columnsOf(together[0]), l.rounds
	if most := together[0].rounds; most > 0 {
		rounds = min(rounds, most)
	}
	for _, r := range together {
		all = append(all, newResults(r, columns))
	}
	for round := range rounds {
		for _, column := range turns(round, columns) {
			for k := range all {
				if err := l.measure(ctx, all[(k+round)%len(all)], column); err != nil {
					return nil, err
				}
			}
		}
	}
	return all, nil
}

// turns returns the columns in the order of a round. The direct run is the last one. Over twice as many rounds as there are other columns, each of these
// follows each other one equally often, and follows the direct run equally often. A column influences the next one: the scheduler leaves the threads of the
// load on the cores where they ran last. The design is that of E. J. Williams, "Experimental designs balanced for the estimation of residual effects of
// treatments", 1949.
func turns(round int, columns []string) (order []string) {
	proxies := slices.DeleteFunc(slices.Clone(columns), func(c string) bool { return c == direct })
	n := len(proxies)
	for i := range n {
		k := (i + 1) / 2
		if i%2 == 1 {
			k = n - k
		}
		order = append(order, proxies[(k+round)%n])
	}
	if n%2 == 1 && round%2 == 1 {
		slices.Reverse(order)
	}
	if n < len(columns) {
		order = append(order, direct)
	}
	return order
}

// measure measures a column of a row once more. It returns an error if ctx ended.
func (l *lab) measure(ctx context.Context, to *results, column string) error {
	f, err := l.perform(ctx, to.row, column)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && to.failures[column] == nil {
		to.failures[column] = err
	}
	to.rounds[column] = append(to.rounds[column], f)
	return nil
}

// columnsOf returns the columns that a row is measured for.
func (l *lab) columnsOf(r *row) (names []string) {
	if r.direct() {
		names = append(names, direct)
	}
	if r.kind == inside {
		return []string{"tether"}
	}
	for _, p := range l.columns {
		if (!r.plan.TLS || p.TLS) && (r.byEngine || p.Engine == "") && (!r.tetherAlone() || slices.Contains(l.tethers, p.Name)) {
			names = append(names, p.Name)
		}
	}
	return names
}

// describe prints the machine and the versions.
func (l *lab) describe(out io.Writer) {
	var u unix.Utsname
	_ = unix.Uname(&u) // it cannot fail
	fmt.Fprintf(out, "%d cores, Linux %s, %s, %d descriptors\n", runtime.NumCPU(), unix.ByteSliceToString(u.Release[:]), runtime.Version(), l.descriptors)
	for _, p := range l.columns {
		fmt.Fprintf(out, "%s: %s", p.Name, p.Version())
		if engine := l.running[p.Name].RunningEngine(); engine != "" {
			fmt.Fprintf(out, ", engine %s", engine)
		}
		fmt.Fprintln(out)
	}
}
