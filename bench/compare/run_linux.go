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
	for _, r := range selected {
		results, err := l.runRow(ctx, r)
		if err != nil {
			fmt.Fprintln(errors, err)
			return 1
		}
		printRow(out, results, l.tethers)
		all = append(all, results)
		if results.broken() {
			code = 1
		}
	}
	if missed := printGoals(out, all, l.engine); missed > 0 {
		fmt.Fprintln(errors, "floors missed:", missed)
		code = 1
	}
	fmt.Fprintf(out, "\n%d rounds in %v.\n", o.rounds, time.Since(began).Round(time.Second))
	return code
}

// runRow measures a row in rounds. Each round begins with another column. It returns an error if ctx ended.
func (l *lab) runRow(ctx context.Context, r *row) (*results, error) {
	results := &results{row: r, rounds: map[string][]figures{}, failures: map[string]error{}}
	columns := l.columnsOf(r)
	results.columns = slices.DeleteFunc(slices.Clone(columns), func(name string) bool { return name == direct })
	rounds := l.rounds
	if r.rounds > 0 {
		rounds = min(rounds, r.rounds)
	}
	for round := range rounds {
		for i := range columns {
			column := columns[(i+round)%len(columns)]
			f, err := l.perform(ctx, r, column)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil && results.failures[column] == nil {
				results.failures[column] = err
			}
			results.rounds[column] = append(results.rounds[column], f)
		}
	}
	return results, nil
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
