package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/e2e/chaos/ledger"
	"tether/e2e/chaos/plan"
	"tether/e2e/chaos/talk"
	"tether/e2e/chaos/verdict"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "server" {
		os.Exit(serve(os.Args[2], os.Args[3], os.Args[4]))
	}
	os.Exit(binary.Main(m))
}

// Every kind of fault can be brought about, is noted with its time and server, and leaves a fleet that serves and holds nothing.
func TestEveryKind(t *testing.T) {
	o := options{tether: binary.Path(), seed: 1}
	w, err := newWorld(o, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop()
	crowd := &talk.Crowd{Addr: w.tether.Addr, Seed: 1, Pause: 300 * time.Millisecond, Book: w.book}
	ctx, hush := context.WithCancel(t.Context())
	defer hush()
	crowd.Start(ctx, 30)
	c := &conductor{book: w.book, servers: w.servers, tether: w.tether, absent: map[string]bool{}}
	arguments := map[plan.Kind]string{plan.Slow: "50ms", plan.CutBetween: "1", plan.CutInside: "1", plan.CutReset: "1", plan.Stall: "1", plan.QueueFull: "tokens"}
	var steps []plan.Step
	for i, kind := range plan.Kinds() {
		s := plan.Step{Kind: kind, Server: i % servers, For: 200 * time.Millisecond, Times: 2, Arg: arguments[kind]}
		switch kind {
		case plan.Reload, plan.Restart, plan.Handover, plan.Descriptors, plan.Logs:
			s.Server = -1
		}
		steps = append(steps, s)
		c.strike(s)
	}
	hush()
	crowd.Wait()
	if _, err := w.calm.after(); err != nil {
		t.Error(err)
	}
	l, err := w.close()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range l.Broken {
		t.Error(b)
	}
	for i, s := range steps {
		e := l.Events[i]
		if e.Kind != string(s.Kind) || (e.Server == "") != (s.Server < 0) || e.To.Before(e.From) {
			t.Errorf("%+v was noted as %+v", s, e)
		}
	}
	if len(l.Turns) == 0 || len(l.Attempts) == 0 {
		t.Errorf("%d turns, %d attempts", len(l.Turns), len(l.Attempts))
	}
	if !strings.Contains(report(l), "handover") {
		t.Error(report(l))
	}
}

// The plan is conducted in its time, and ends early with its context.
func TestConduct(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	c := &conductor{book: ledger.NewBook(1)}
	stop()
	c.conduct(ctx, []plan.Step{{At: time.Hour, Kind: plan.Kill}})
	if l := c.book.Close(nil); len(l.Events) != 0 {
		t.Errorf("%+v", l.Events)
	}
}

// The exit code says whether all rules hold, and whether there was a run.
func TestExitCodes(t *testing.T) {
	now := time.Now()
	turn := ledger.Turn{ID: "a", Conversation: 1, Start: now, End: now, Status: 200, Affinity: "new", Server: "vllm-0", Result: ledger.Whole}
	well := &ledger.Ledger{Turns: []ledger.Turn{turn}, Attempts: []ledger.Attempt{{ID: "a", Server: "vllm-0", At: now, End: now, Status: 200}}}
	wrong := &ledger.Ledger{Turns: []ledger.Turn{turn}}
	if len(verdict.Judge(well)) != 0 {
		t.Fatal(verdict.Judge(well))
	}
	dir := t.TempDir()
	for name, l := range map[string]*ledger.Ledger{"well": well, "wrong": wrong} {
		if err := l.Write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int{"well": good, "wrong": bad, "absent": broken} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), options{judge: filepath.Join(dir, name)}, &out, &errOut); code != want {
			t.Errorf("%s: exit code %d, want %d\n%s%s", name, code, want, &out, &errOut)
		}
	}
	var out, errOut bytes.Buffer
	if code := run(t.Context(), options{tether: "/nonexistent", keep: dir}, &out, &errOut); code != broken || !strings.Contains(errOut.String(), "/nonexistent") {
		t.Errorf("exit code %d\n%s", code, &errOut)
	}
}

// A scenario goes through tether: its requests are counted, and the server that was killed is no reason for a move of others.
func TestScenario(t *testing.T) {
	s := scenario{name: "kill", leaving: 0.2, before: time.Second, after: 2 * time.Second, steps: []plan.Step{{Kind: plan.Kill, Server: 1, For: time.Second}}}
	p, err := peerOf("tether", options{tether: binary.Path()})
	if err != nil {
		t.Fatal(err)
	}
	f, err := compareOne(t.Context(), options{seed: 1}, s, p, t.TempDir())
	if err != nil || f.Requests < 100 || f.Lost+f.Unseen > 0 || f.Moved > 0 {
		t.Errorf("%+v, %v", f, err)
	}
	var out, errOut bytes.Buffer
	if code := run(t.Context(), options{peers: "nonsense"}, &out, &errOut); code != broken || !strings.Contains(errOut.String(), "nonsense") {
		t.Errorf("exit code %d\n%s", code, &errOut)
	}
}
