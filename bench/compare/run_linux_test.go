package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var binary string

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && strings.HasPrefix(os.Args[1], "-"+mapFlag) { // a test runs the program, which runs itself
		main()
	}
	dir, err := os.MkdirTemp("", "bench-compare")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "tether")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "tether")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// A short run prints a table with figures for tether and each peer that is installed.
func TestRun(t *testing.T) {
	var out, errors strings.Builder
	run(context.Background(), options{
		tether: binary, builds: "again=" + binary, engines: "nonesuch", others: "haproxy,nginx,smg", rows: "sse50,busy", rounds: 1, window: 200 * time.Millisecond,
	}, &out, &errors) // floors may be missed: such a short run measures nothing
	for _, want := range []string{"**SSE, 50 streams, 10 ms between events**", "| CPU a request, us |", "| tether | again |", "skipped: engine nonesuch: it does not run here", "skipped: smg", "1 rounds in"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q", want)
		}
	}
	if strings.Contains(out.String(), "failed") || strings.Contains(errors.String(), "tether") {
		t.Error("a column failed")
	}
	if t.Failed() {
		t.Logf("%s\n%s", &out, &errors)
	}
}

// The rows that look into processes have figures too.
func TestRunOfOtherKinds(t *testing.T) {
	var out, errors strings.Builder
	run(context.Background(), options{
		tether: binary, rows: "tls-json,upstreams2,calls-json,allocations,map1000", rounds: 1, window: 200 * time.Millisecond,
	}, &out, &errors)
	for _, want := range []string{"TLS**", "2 upstreams**", "| receive |", "| allocations a request |", "| bytes a session |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q", want)
		}
	}
	if strings.Contains(strings.ReplaceAll(out.String(), "tether failed: "+errNoStrace.Error(), ""), "failed") {
		t.Error("a column failed")
	}
	if t.Failed() {
		t.Logf("%s\n%s", &out, &errors)
	}
}

// A run ends soon after its context, and leaves no process behind.
func TestRunEndsWithContext(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var out, errors strings.Builder
	began := time.Now()
	code := run(ctx, options{tether: binary, rows: "json32", rounds: 1000, window: time.Second}, &out, &errors)
	if took := time.Since(began); code != 1 || took > 20*time.Second {
		t.Errorf("code %d after %v\n%s\n%s", code, took, &out, &errors)
	}
	if files, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(files) > 0 {
		t.Errorf("files remain: %v", files)
	}
}

// What cannot run says so.
func TestRunWithErrors(t *testing.T) {
	for want, o := range map[string]options{
		`"x" is not a row`:         {rows: "x"},
		"fork/exec /nonexistent":   {tether: "/nonexistent"},
		"mystery is not a known p": {tether: binary, others: "mystery"},
	} {
		var out, errors strings.Builder
		if code := run(context.Background(), o, &out, &errors); code == 0 || !strings.Contains(errors.String(), want) {
			t.Errorf("code %d: %s, want %s", code, &errors, want)
		}
	}
}

// In twice as many rounds as there are proxies, each follows each other one equally often, and each begins equally often, after a direct run. In 5
// rounds, each of 4 proxies follows each other one, and the direct run, at least once.
func TestTurns(t *testing.T) {
	all := []string{direct, "a", "b", "c", "d", "e", "f"}
	for n := 2; n <= len(all); n++ {
		columns := all[:n]
		follows, early := map[[2]string]int{}, map[[2]string]int{}
		before := direct
		for round := range 2 * (n - 1) {
			order := turns(round, columns)
			if sorted := slices.Sorted(slices.Values(order)); order[n-1] != direct || !slices.Equal(sorted, slices.Sorted(slices.Values(columns))) {
				t.Fatalf("round %d: %v", round, order)
			}
			for _, c := range order[:n-1] {
				follows[[2]string{before, c}]++
				if round < 5 {
					early[[2]string{before, c}]++
				}
				before = c
			}
			before = direct
		}
		for _, a := range columns {
			for _, b := range columns[1:] {
				if a != b && follows[[2]string{a, b}] != 2 {
					t.Errorf("%d columns: %s follows %s %d times, want 2", n, b, a, follows[[2]string{a, b}])
				}
				if a != b && n == 5 && early[[2]string{a, b}] == 0 {
					t.Errorf("%s never follows %s in 5 rounds", b, a)
				}
			}
		}
	}
}
