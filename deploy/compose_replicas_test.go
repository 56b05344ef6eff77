package deploy

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// Docker Compose can start three tethers that share one store and one secret.
func TestComposeReplicas(t *testing.T) {
	project := readCompose(t, "compose/replicas")
	s := replicasConfig(t)
	testProxyService(t, project, s)
	testServers(t, project, s)
	if want := []string{"haproxy", "tether", "valkey", "vllm-0", "vllm-1"}; !slices.Equal(project.ServiceNames(), want) {
		t.Errorf("the services are %q", project.ServiceNames())
	}
	proxy, store := project.Services["tether"], project.Services["valkey"]
	if s.Session.Store.URL != "redis://valkey:6379" || s.Session.Placement != "auto" || s.Session.Return != "stay" {
		t.Errorf("%+v", s.Session)
	}
	if d := proxy.DependsOn["valkey"]; d.Condition != types.ServiceConditionStarted || !d.Required {
		t.Errorf("tether waits for the store: %+v", d)
	}
	for name, service := range project.Services {
		_, near := service.Networks["store"]
		if near != (name == "tether" || name == "valkey") {
			t.Errorf("%s can reach the store: %v", name, near)
		}
	}
	if len(store.Ports) > 0 || len(store.Networks) != 1 || !project.Networks["store"].Internal {
		t.Errorf("the store has no password, but %+v, %+v", store.Ports, store.Networks)
	}
	first, last, _ := strings.Cut(proxy.Ports[0].Published, "-")
	if number(t, last)-number(t, first)+1 != proxy.GetScale() || proxy.GetScale() != 3 || proxy.Ports[0].HostIP != "127.0.0.1" {
		t.Errorf("%d replicas, %+v", proxy.GetScale(), proxy.Ports)
	}
}

// replicasConfig returns the configuration of the replicas as tether reads it with the secrets of the compose file.
func replicasConfig(t *testing.T) settings {
	t.Helper()
	project, dir := readCompose(t, "compose/replicas"), t.TempDir()
	for _, secret := range project.Services["tether"].Secrets {
		from := project.Secrets[secret.Source].File
		folder, key := filepath.Split(from)
		if filepath.Base(folder) != "secrets" || !strings.Contains(read(t, "README.md"), "> secrets/"+key+"\n") {
			t.Errorf("README does not say how to make %s", from)
		}
		if err := os.WriteFile(filepath.Join(dir, secret.Source), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return check(t, write(t, strings.ReplaceAll(read(t, "compose/replicas/tether.yaml"), "/run/secrets/", dir+"/")))
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// HAProxy can read its file, has a place for each replica, outlasts tether's limits, and notices in time that a replica stops.
func TestComposeBalancer(t *testing.T) {
	project, s := readCompose(t, "compose/replicas"), replicasConfig(t)
	proxy := project.Services["tether"]
	const file = "compose/replicas/haproxy.cfg"
	text := read(t, file)
	value := func(pattern string) string {
		t.Helper()
		found := regexp.MustCompile(`(?m)^\s*` + pattern).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("%s has no %s", file, pattern)
		}
		return found[1]
	}
	period := func(pattern string) time.Duration {
		t.Helper()
		d, err := time.ParseDuration(value(pattern))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if n := number(t, value(`server-template tether (\d+) tether:8080 `)); n != proxy.GetScale() {
		t.Errorf("HAProxy has places for %d replicas", n)
	}
	for _, timeout := range []string{"client", "server", "tunnel"} {
		if d := period("timeout " + timeout + ` (\S+)$`); d <= time.Duration(max(s.Proxy.HeadTimeout, s.Proxy.IdleTimeout)) {
			t.Errorf("timeout %s %v ends what tether lets go on", timeout, d)
		}
	}
	if d := period(`default-server check inter (\S+) fall 2 `); 2*d >= time.Duration(s.Proxy.ShutdownDelay) {
		t.Errorf("a check every %v is too slow for a delay of %v", d, time.Duration(s.Proxy.ShutdownDelay))
	}
	balancer := project.Services["haproxy"]
	longer(t, "haproxy", time.Duration(*balancer.StopGracePeriod), period(`hard-stop-after (\S+)$`))
	if n := number(t, value(`maxconn (\d+)$`)); balancer.Ulimits["nofile"].Single < 2*n || n > s.Proxy.MaxConnections {
		t.Errorf("%d connections with %+v, and tether accepts %d", n, balancer.Ulimits["nofile"], s.Proxy.MaxConnections)
	}
	if v := balancer.Volumes[0]; !strings.HasSuffix(v.Source, "/haproxy.cfg") || v.Target != "/usr/local/etc/haproxy/haproxy.cfg" {
		t.Errorf("%+v", v)
	}
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("haproxy is not installed: nothing else has read the file")
	}
	if out, err := run(t, "haproxy", "-c", "-f", file); err != nil || strings.Contains(out, "WARNING") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A real server accepts the arguments of the store. With them it never evicts and keeps nothing on disk, and it may take
// at least the memory that docs/REPLICAS.md measured.
func TestComposeStore(t *testing.T) {
	store := readCompose(t, "compose/replicas").Services["valkey"]
	program := server(t)
	dir, err := os.MkdirTemp("", "store") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "socket")
	cmd := exec.Command(program, append(slices.Clone(store.Command[1:]), "--port", "0", "--unixsocket", socket, "--dir", dir)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	settings := map[string]string{}
	for _, name := range []string{"maxmemory", "maxmemory-policy", "save", "appendonly"} {
		settings[name] = ask(t, socket, name)
	}
	const exceptions = 66_000_000 // the memory of a million, each with an entry of its own
	if n := number(t, settings["maxmemory"]); n < 2*exceptions || 2*n > int(store.MemLimit) || replicasConfig(t).Session.Max > 1_000_000 {
		t.Errorf("maxmemory %d in a container with %d", n, store.MemLimit)
	}
	if settings["maxmemory-policy"] != "noeviction" || settings["save"] != "" || settings["appendonly"] != "no" {
		t.Errorf("%q", settings)
	}
}

// server returns the path of valkey-server, or else of redis-server. Without either, it skips the test.
func server(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"valkey-server", "redis-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("neither valkey-server nor redis-server is installed")
	return ""
}

// ask returns a setting of the server that listens on a socket, and waits until it does.
func ask(t *testing.T, socket, name string) string {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	conn, err := net.Dial("unix", socket)
	for ; err != nil; conn, err = net.Dial("unix", socket) {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("CONFIG GET " + name + "\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	var reply []string // an array of two: *2, the length of the name, the name, the length of the value, the value
	for len(reply) < 5 && lines.Scan() {
		reply = append(reply, lines.Text())
	}
	if len(reply) < 5 || reply[2] != name {
		t.Fatalf("%s: %q, %v", name, reply, lines.Err())
	}
	return reply[4]
}
