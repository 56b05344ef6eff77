package vectors

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"tether/wire/wiretest"
)

// haproxy runs HAProxy in its default configuration, in front of s.
func haproxy(t *testing.T, s *server) (addr string) {
	t.Helper()
	addr = wiretest.FreeAddr(t)
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf(`defaults
    mode http
    timeout connect 500ms
    timeout client 500ms
    timeout server 500ms
listen vectors
    bind %s
    server upstream %s
`, addr, s.addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("haproxy", "-db", "-f", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // its error is the signal
	})
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
	}
	t.Fatal("haproxy never listened")
	return ""
}

// score counts how many vectors of a class had the expected outcome.
type score struct {
	class                         string
	tether, haproxy, rows, judged int
}

// The same tables against HAProxy in its default configuration. Differences are printed; they are no failure.
func TestVectorsAgainstHAProxy(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("haproxy is not installed: the tables are not compared with it")
	}
	var rows, scores table
	for _, s := range append(compareRequests(t, &rows), compareAnswers(t, &rows)...) {
		scores.add(s.class, fmt.Sprintf("tether %d of %d", s.tether, s.rows), fmt.Sprintf("HAProxy %d of %d", s.haproxy, s.judged))
	}
	rows.print(t, "class", "vector", "expected", "HAProxy")
	scores.print(t, "class", "as expected", "")
}

func compareRequests(t *testing.T, rows *table) (scores []score) {
	ours, addr := tether(t)
	theirs := newServer(t)
	their := haproxy(t, theirs)
	for _, class := range requests {
		s := score{class: class.name}
		for _, v := range class.vectors {
			s.rows++
			got := try(t, addr, ours, v, len(v.raw+nextRequest))
			if got.fault(v.want) == "" {
				s.tether++
			}
			outcome := "not tried: it is tether's list or limit"
			if !v.want.ours {
				got := try(t, their, theirs, v, len(v.raw+nextRequest))
				time.Sleep(settleTime)
				got.upstream = append(got.upstream, theirs.take()...)
				outcome = got.difference(v.want)
				s.judge(outcome)
			}
			rows.add(class.name, v.name, v.want.String(), outcome)
		}
		scores = append(scores, s)
	}
	return scores
}

func compareAnswers(t *testing.T, rows *table) (scores []score) {
	ours, theirs := newStage(t), newStage(t)
	ours.proxy, theirs.proxy = exposing(t, ours), haproxy(t, theirs.server)
	theirs.others = true
	for _, class := range answers {
		s := score{class: "answers: " + class.class}
		for _, a := range class.vectors {
			s.rows++
			if ours.try(t, a, len(a.raw)) == "" {
				s.tether++
			}
			outcome := theirs.try(t, a, len(a.raw))
			if outcome == "" {
				outcome = asExpected
			}
			s.judge(outcome)
			rows.add("answers: "+class.class, a.name, a.want.String(), outcome)
		}
		scores = append(scores, s)
	}
	return scores
}

const asExpected = "as expected"

// settleTime is how long another proxy may take to send what it sends after its client has gone. What it sends later counts for the
// next vector.
const settleTime = 20 * time.Millisecond

func (s *score) judge(outcome string) {
	s.judged++
	if outcome == asExpected {
		s.haproxy++
	}
}

// difference says how the outcome of another proxy differs from the expected one. The bytes may differ: only method, target and body
// of the requests must be equal, and a refusal may have any status.
func (g *observed) difference(want outcome) string {
	want = want.withNextRequest()
	for i, q := range g.upstream {
		switch {
		case q.wrong != nil:
			return fmt.Sprintf("the upstream receives %s: %v", oneLine(q.raw), q.wrong)
		case i >= len(want.upstream):
			return "the upstream receives " + oneLine(q.method+" "+q.path)
		case q.method+" "+q.path != want.upstream[i].line || q.body != want.upstream[i].body:
			return fmt.Sprintf("the upstream receives %s %s with %q", q.method, q.path, oneLine(q.body))
		}
		for _, name := range oneHop {
			if q.values(name) != nil {
				return "it passes " + name + " on"
			}
		}
	}
	if len(g.upstream) < len(want.upstream) {
		return fmt.Sprintf("answered with %v, want %v", g.statuses, want.statuses)
	}
	if refuses(g.statuses) != refuses(want.statuses) {
		return fmt.Sprintf("answered with %v, want %v", g.statuses, want.statuses)
	}
	return asExpected
}

// oneHop are fields about one connection, and fields that a server might mistake for them.
var oneHop = []string{"Upgrade", "HTTP2-Settings", "Transfer_encoding", "Content_length"}

func refuses(statuses []int) bool {
	return slices.ContainsFunc(statuses, func(status int) bool { return status >= 400 })
}
