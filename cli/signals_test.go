package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/sim"
	"tether/sim/fault"
)

// process is the command tether as a process, which gets real signals.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	lines chan string // of standard error, closed at its end
	said  []string    // the lines read so far
}

func command(t testing.TB, environ []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command("tether", args...), lines: make(chan string, 1000)}
	p.cmd.Env = append(os.Environ(), environ...)
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() }) // the process has ended, unless the test failed
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	return p
}

// await returns the next line that contains text.
func (p *process) await(text string) string {
	p.t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case line, more := <-p.lines:
			p.said = append(p.said, line)
			if strings.Contains(line, text) {
				return line
			}
			if !more {
				p.t.Fatalf("ended without %q:\n%s", text, strings.Join(p.said, "\n"))
			}
		case <-deadline:
			p.t.Fatalf("no %q:\n%s", text, strings.Join(p.said, "\n"))
		}
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ends checks that the process ends with the exit code, long before anything that it might wait for.
func (p *process) ends(code int) {
	p.t.Helper()
	for deadline := time.After(patience / 2); ; {
		select {
		case line, more := <-p.lines:
			if p.said = append(p.said, line); more {
				continue
			}
			_ = p.cmd.Wait() // the exit code is in the state
			if got := p.cmd.ProcessState.ExitCode(); got != code {
				p.t.Errorf("exit code %d, want %d:\n%s", got, code, strings.Join(p.said, "\n"))
			}
			return
		case <-deadline:
			p.t.Fatalf("the process does not end:\n%s", strings.Join(p.said, "\n"))
		}
	}
}

// count counts the occurrences of text in the lines read so far.
func (p *process) count(text string) (n int) {
	for _, line := range p.said {
		n += strings.Count(line, text)
	}
	return n
}

// startSim starts a simulated server.
func startSim(t testing.TB) *sim.Server {
	t.Helper()
	s := sim.New(sim.Config{})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// post sends a chat to the tether at addr and reads the answer.
func post(t testing.TB, addr string) (*http.Response, error) {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	const hello = `{"model":"tiny","messages":[{"role":"user","content":"hello"}]}`
	res, err := client.Post("http://"+addr+"/v1/chat/completions", "application/json", strings.NewReader(hello))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	_, err = io.ReadAll(res.Body)
	return res, err
}

// runTether starts tether in front of a server. By itself it would take hours to stop.
func runTether(t testing.TB, upstream string, args ...string) (p *process, data, admin string) {
	t.Helper()
	p = command(t, []string{"TETHER_PROXY_SHUTDOWN_DELAY=1h", "TETHER_PROXY_SHUTDOWN_TIMEOUT=2h"},
		append([]string{"run", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--upstream", upstream}, args...)...)
	address := func(line string) string {
		var fields struct{ Address string }
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		return fields.Address
	}
	data = address(p.await("listening for clients"))
	admin = address(p.await("listening for operators"))
	return p, data, admin
}

// hang sends a request that the server does not answer. The channel gets the request's error when it ends.
func hang(t testing.TB, s *sim.Server, addr string) <-chan error {
	t.Helper()
	if err := s.Inject(fault.Fault{Kind: fault.Hang}); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := post(t, addr)
		failed <- err
	}()
	if err := s.Await(t.Context(), func(l sim.Load) bool { return l.Held == 1 }); err != nil {
		t.Fatal(err)
	}
	return failed
}

func TestInterruptSkipsTheDelay(t *testing.T) {
	s := startSim(t)
	p, _, _ := runTether(t, s.URL())
	p.signal(syscall.SIGINT)
	p.ends(0)
	if p.count("still serving") != 0 || p.count("stopped") != 1 {
		t.Errorf("said:\n%s", strings.Join(p.said, "\n"))
	}
}

func TestTerminateServesOn(t *testing.T) {
	s := startSim(t)
	p, data, _ := runTether(t, s.URL())
	p.signal(syscall.SIGTERM)
	p.await("still serving")
	if res, err := post(t, data); err != nil || res.StatusCode != 200 || !res.Close {
		t.Errorf("%v, %v", res, err)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

func TestSecondInterruptCutsRequests(t *testing.T) {
	s := startSim(t)
	p, data, _ := runTether(t, s.URL())
	failed := hang(t, s, data)
	p.signal(syscall.SIGINT)
	p.await("requests in flight may finish")
	select {
	case err := <-failed:
		t.Fatalf("the first signal ended the request: %v", err)
	default:
	}
	p.signal(syscall.SIGINT)
	p.ends(0)
	if err := <-failed; err == nil {
		t.Error("a request was answered without an answer of the server")
	}
}

// SIGHUP loads the configuration again: the file that -c names, under the same variables and flags.
func TestHangUp(t *testing.T) {
	s := startSim(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("proxy: {expose_upstream: false}")
	p, data, admin := runTether(t, s.URL(), "-c", file)
	p.await("upstream changed")
	write("proxy: {expose_upstream: true}\nlisten: \":1\"") // --listen overrides the file
	p.signal(syscall.SIGHUP)
	if line := p.await("configuration reloaded"); !strings.Contains(line, `"changed":["proxy.expose_upstream"]`) {
		t.Error(line)
	}
	if res, err := post(t, data); err != nil || res.StatusCode != 200 || res.Close || res.Header.Get("X-Tether-Upstream") == "" {
		t.Errorf("%v, %v", res, err)
	}
	write("prox: {}")
	p.signal(syscall.SIGHUP)
	if line := p.await("configuration not reloaded"); !strings.Contains(line, file+":1: prox: unknown key, did you mean proxy?") {
		t.Error(line)
	}
	res, err := http.Get("http://" + admin + "/readyz")
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v, %v", res, err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	p.signal(syscall.SIGINT)
	p.ends(0)
}

// An idle simulated server ends at once on SIGINT. On SIGTERM its port refuses as late as that of vLLM.
func TestSignalsOfASimulatedServer(t *testing.T) {
	for _, c := range []struct {
		first os.Signal
		waits bool
	}{{syscall.SIGINT, false}, {syscall.SIGTERM, true}} {
		p := command(t, nil, "sim", "--listen", "127.0.0.1:0")
		p.await("simulated vLLM")
		began := time.Now()
		p.signal(c.first)
		p.ends(0)
		if took := time.Since(began); (took >= sim.Default().RefuseAfter) != c.waits {
			t.Errorf("%v: ended after %v", c.first, took)
		}
	}
}

func TestSecondSignalOfASimulatedServer(t *testing.T) {
	for _, first := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := command(t, nil, "sim", "--listen", "127.0.0.1:0", "--decode", "1h")
		_, addr, _ := strings.Cut(p.await("simulated vLLM"), "http://")
		addr, _, _ = strings.Cut(addr, ",")
		client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Post("http://"+addr+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"tiny","stream":true,"messages":[{"role":"user","content":"hello"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		p.signal(first)
		p.await("draining 1 requests")
		p.signal(first)
		p.ends(0)
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("a stream without an end ended")
		}
		res.Body.Close()
	}
}
