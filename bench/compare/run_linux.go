package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// run prints the table and returns the exit code: 1 if something failed or a floor was missed.
func run(ctx context.Context, o options, out, errors io.Writer) (code int) {
	began := time.Now()
	selected, err := selectRows(o.rows)
	if err != nil {
		fmt.Fprintln(errors, err)
		return 2
	}
	runtime.LockOSThread() // the peers end with the thread that starts them
	defer runtime.UnlockOSThread()
	runtime.GOMAXPROCS(runtime.NumCPU() + 3) // both loops wait without telling the scheduler
	l, err := newLab(ctx, o, out)
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
		printRow(out, results, l.names(), l.tethers)
		all = append(all, results)
		if len(results.failures) > 0 {
			code = 1
		}
	}
	if missed := printGoals(out, all); missed > 0 {
		fmt.Fprintln(errors, "floors missed:", missed)
		code = 1
	}
	fmt.Fprintf(out, "\n%d rounds in %v.\n", o.rounds, time.Since(began).Round(time.Second))
	return code
}

// names returns the names of the columns.
func (l *lab) names() (names []string) {
	for _, p := range l.columns {
		names = append(names, p.Name)
	}
	return names
}

// runRow measures a row in rounds. Each round begins with another column. It returns an error if ctx ended.
func (l *lab) runRow(ctx context.Context, r *row) (*results, error) {
	results := &results{row: r, rounds: map[string][]figures{}, failures: map[string]error{}}
	columns := append([]string{direct}, l.names()...)
	for round := range l.rounds {
		for i := range columns {
			column := columns[(i+round)%len(columns)]
			f, err := l.measure(ctx, r, l.running[column])
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil && results.failures[column] == nil {
				results.failures[column] = l.explain(column, err)
			}
			results.rounds[column] = append(results.rounds[column], f)
		}
	}
	return results, nil
}

// describe prints the machine and the versions.
func (l *lab) describe(out io.Writer) {
	var u unix.Utsname
	_ = unix.Uname(&u) // it cannot fail
	fmt.Fprintf(out, "%d cores, Linux %s, %s, %d descriptors\n", runtime.NumCPU(), unix.ByteSliceToString(u.Release[:]), runtime.Version(), l.descriptors)
	for _, p := range l.columns {
		fmt.Fprintf(out, "%s: %s\n", p.Name, p.Version())
	}
}

// explain adds to an error that a peer has ended, and its last words.
func (l *lab) explain(column string, err error) error {
	if p := l.running[column]; p != nil && p.Ended() {
		return fmt.Errorf("%w: it has ended\n%s", err, p.Log())
	}
	return err
}
