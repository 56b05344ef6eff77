// Package kubernetes tests discovery against a real API server of Kubernetes with its etcd, both built from their Go modules. It is a module
// of its own, because they take a quarter of an hour to compile: make test-kubernetes. There is no controller and no kubelet: the test writes the
// EndpointSlices and pods that those would write.
package kubernetes

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience limits every wait. A start of the API server takes ten seconds of one core.
const patience = 3 * time.Minute

// cluster is an API server with its etcd.
type cluster struct {
	t      *testing.T
	dir    string // of the test
	bin    string
	etcd   string // URL
	port   string
	server *exec.Cmd
	client *http.Client
}

// build compiles a program into the folder bin.
func build(t *testing.T, bin, dir, pkg, name string) string {
	t.Helper()
	path := filepath.Join(bin, name)
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return path
}

// freePorts returns different ports without a listener.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports
}

// start starts a program that ends with the test. Its output is in DIR/NAME.log.
func start(t *testing.T, dir, name, path string, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		stop(cmd)
	})
	return cmd
}

// stop kills a program and waits for it. A second call does nothing.
func stop(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// newCluster starts etcd and the API server. Of two tokens, "admin" may do everything and "tether" what roles allow.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	bin, err := filepath.Abs("../../bin/kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 3)
	c := &cluster{t: t, dir: t.TempDir(), port: ports[0], client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the test's own server
	}}}
	t.Cleanup(c.client.CloseIdleConnections)
	etcd := build(t, bin, ".", "./etcd", "etcd")
	c.bin = build(t, bin, ".", "./apiserver", "kube-apiserver")
	c.etcd = "http://127.0.0.1:" + ports[1]
	peers := "http://127.0.0.1:" + ports[2]
	start(t, c.dir, "etcd", etcd, "--data-dir", filepath.Join(c.dir, "etcd"), "--listen-client-urls", c.etcd, "--advertise-client-urls", c.etcd, "--listen-peer-urls", peers)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	c.write("sa.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	c.write("sa.pub", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})))
	c.write("tokens.csv", "admin,admin,1,\"system:masters\"\ntether,tether,2\n")
	c.up()
	return c
}

func (c *cluster) write(name, text string) string {
	c.t.Helper()
	file := filepath.Join(c.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return file
}

// up starts the API server and waits until it is ready.
func (c *cluster) up() {
	c.t.Helper()
	c.server = start(c.t, c.dir, "apiserver", c.bin, "--etcd-servers", c.etcd, "--service-account-key-file", "sa.pub", "--service-account-signing-key-file", "sa.key",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-cluster-ip-range", "10.0.0.0/24", "--cert-dir", "certs", "--bind-address", "127.0.0.1", "--advertise-address", "10.77.0.1",
		"--secure-port", c.port, "--authorization-mode", "RBAC", "--token-auth-file", "tokens.csv", "--disable-admission-plugins", "ServiceAccount")
	eventually(c.t, "API server", func() bool { return c.call("GET", "/readyz", "") == 200 })
}

// call calls the API as admin and returns the status, 0 without an answer.
func (c *cluster) call(method, path, body string) int {
	c.t.Helper()
	r, err := http.NewRequest(method, "https://127.0.0.1:"+c.port+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer admin")
	r.Header.Set("Content-Type", "application/json")
	res, err := c.client.Do(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode >= 400 && method != "GET" {
		c.t.Logf("%s %s: %.300s", method, path, text)
	}
	return res.StatusCode
}

// must is call for what must succeed.
func (c *cluster) must(method, path, body string) {
	c.t.Helper()
	if status := c.call(method, path, body); status < 200 || status > 299 {
		c.t.Fatalf("%s %s: %d", method, path, status)
	}
}

const (
	slices = "/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices"
	pods   = "/api/v1/namespaces/prod/pods"
	rights = "/apis/rbac.authorization.k8s.io/v1/namespaces/prod/"
)

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no ", what)
		}
	}
}

// fleet is simulated servers on 10.77.0.1 and so on of a network namespace, as the pods vllm-0 and so on.
type fleet struct {
	*cluster
	tether string // the binary, which is the simulator too
	port   string
}

func (f *fleet) add(n int) {
	f.t.Helper()
	start(f.t, f.dir, fmt.Sprint("vllm-", n), f.tether, "sim", "--listen", fmt.Sprintf("10.77.0.%d:%s", n+1, f.port), "--name", fmt.Sprint("vllm-", n))
	f.must("POST", pods, fmt.Sprintf(`{"metadata":{"name":"vllm-%d","labels":{"app":"vllm"},"annotations":{"tether/weight":"%d"}},"spec":{"containers":[{"name":"a","image":"b"}]}}`, n, 100-n))
}

// publish writes the EndpointSlice: the numbers of pods, terminating ones below 0 as -1-N.
func (f *fleet) publish(method string, numbers ...int) {
	f.t.Helper()
	endpoints := []string{}
	for _, n := range numbers {
		terminating := n < 0
		if terminating {
			n = -1 - n
		}
		endpoints = append(endpoints, fmt.Sprintf(`{"addresses":["10.77.0.%d"],"conditions":{"ready":%v,"serving":true,"terminating":%v},"targetRef":{"kind":"Pod","namespace":"prod","name":"vllm-%d"}}`,
			n+1, !terminating, terminating, n))
	}
	path := slices
	if method == "PUT" {
		path += "/vllm-a"
	}
	f.must(method, path, fmt.Sprintf(`{"metadata":{"name":"vllm-a","labels":{"kubernetes.io/service-name":"vllm"}},"addressType":"IPv4","ports":[{"name":"http","port":%s}],"endpoints":[%s]}`,
		f.port, strings.Join(endpoints, ",")))
}

// proxy is a tether that finds the fleet.
type proxy struct {
	t            *testing.T
	addr, admin  string
	client       *http.Client
	conversation map[int]string // server of the last turn
}

// state is an upstream, or a source, as the admin API shows it.
type state struct {
	Name, State string
	Weight      int
	Source      string
	Upstreams   int
	Problem     string
}

func (p *proxy) get(path, key string) (all []state) {
	p.t.Helper()
	res, err := p.client.Get("http://" + p.admin + path)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	var answer map[string]json.RawMessage
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(answer[key], &all); err != nil {
		p.t.Fatal(err)
	}
	return all
}

// words returns the upstreams with states, "vllm-0 up".
func (p *proxy) words() string {
	var words []string
	for _, u := range p.get("/api/upstreams", "upstreams") {
		words = append(words, u.Name+" "+u.State)
	}
	return strings.Join(words, ", ")
}

func (p *proxy) await(want string) {
	p.t.Helper()
	last := ""
	defer func() {
		if p.t.Failed() {
			p.t.Logf("upstreams: %s", last)
		}
	}()
	eventually(p.t, want, func() bool { last = p.words(); return last == want })
}

// turns has a turn of conversations from..to-1, and returns how many moved, and from which servers.
func (p *proxy) turns(from, to int) (moved int, left map[string]int) {
	p.t.Helper()
	left = map[string]int{}
	for i := from; i < to; i++ {
		r, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+p.addr+"/v1/chat/completions",
			strings.NewReader(fmt.Sprintf(`{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"conversation %d"}]}`, i)))
		if err != nil {
			p.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Session-Id", fmt.Sprint("s-", i))
		res, err := p.client.Do(r)
		if err != nil {
			p.t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 {
			p.t.Errorf("conversation %d: %s %v %.200s", i, res.Status, err, text)
		}
		now := res.Header.Get("X-Sim-Server")
		if before := p.conversation[i]; before != "" && before != now {
			moved++
			left[before]++
		}
		p.conversation[i] = now
	}
	return moved, left
}

// on counts the conversations on a server.
func (p *proxy) on(server string) (n int) {
	for _, s := range p.conversation {
		if s == server {
			n++
		}
	}
	return n
}

// proxy starts a tether with the least rights.
func (f *fleet) proxy() *proxy {
	f.t.Helper()
	f.write("token", "tether\n")
	kubeconfig := f.write("kubeconfig", fmt.Sprintf(`current-context: x
contexts: [{name: x, context: {cluster: c, user: u, namespace: prod}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:%s", certificate-authority: certs/apiserver.crt}}]
users: [{name: u, user: {tokenFile: token}}]
`, f.cluster.port))
	ports := freePorts(f.t, 2)
	p := &proxy{t: f.t, addr: "127.0.0.1:" + ports[0], admin: "127.0.0.1:" + ports[1], conversation: map[int]string{}, client: &http.Client{Timeout: 30 * time.Second}}
	config := f.write("config.yaml", fmt.Sprintf("listen: %q\nadmin: {listen: %q}\nhealth: {interval: 200ms}\ndiscovery:\n  - kubernetes: {service: vllm, port: http, pod_selector: app=vllm, kubeconfig: %q}\n",
		p.addr, p.admin, kubeconfig))
	start(f.t, f.dir, "tether", f.tether, "run", "-c", config)
	f.t.Cleanup(p.client.CloseIdleConnections)
	f.t.Cleanup(func() {
		if f.t.Failed() {
			log, _ := os.ReadFile(filepath.Join(f.dir, "tether.log"))
			f.t.Logf("%s", log[max(0, len(log)-4000):])
		}
	})
	return p
}

// grant gives tether the rights of the documentation.
func (f *fleet) grant() {
	f.t.Helper()
	f.must("POST", rights+"rolebindings", `{"metadata":{"name":"tether"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"tether"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"tether"}]}`)
}

// TestDiscovery follows a service through everything that happens to pods and to the API server. No request fails.
func TestDiscovery(t *testing.T) {
	c := newCluster(t)
	f := &fleet{cluster: c, port: freePorts(t, 1)[0], tether: build(t, filepath.Dir(c.bin), "../..", ".", "tether")}
	f.must("POST", "/api/v1/namespaces", `{"metadata":{"name":"prod"}}`)
	f.must("POST", rights+"roles", `{"metadata":{"name":"tether"},"rules":[{"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["list","watch"]},{"apiGroups":[""],"resources":["pods"],"verbs":["list","watch"]}]}`)
	f.grant()
	for n := range 3 {
		f.add(n)
	}
	f.publish("POST", 0, 1, 2)
	p := f.proxy()
	p.await("vllm-0 up, vllm-1 up, vllm-2 up")
	if got := p.get("/api/upstreams", "upstreams"); got[1].Weight != 99 {
		t.Errorf("the annotation does not count: %+v", got)
	}
	p.turns(0, 200)

	f.add(3)
	f.publish("PUT", 0, 1, 2, 3)
	p.await("vllm-0 up, vllm-1 up, vllm-2 up, vllm-3 up")
	if n, from := p.turns(0, 200); n > 0 {
		t.Errorf("%d conversations moved when a pod was added: %v", n, from)
	}
	p.turns(200, 400)
	leaving := p.on("vllm-1")
	t.Logf("conversations on vllm-0..3: %d %d %d %d", p.on("vllm-0"), leaving, p.on("vllm-2"), p.on("vllm-3"))

	f.publish("PUT", 0, -1-1, 2, 3)
	p.await("vllm-0 up, vllm-1 up, draining, vllm-2 up, vllm-3 up")
	if n, from := p.turns(0, 400); n > 0 {
		t.Errorf("%d conversations moved when a pod began to terminate: %v", n, from)
	}
	p.turns(400, 500)
	if p.on("vllm-1") != leaving {
		t.Error("a terminating pod got new conversations")
	}
	f.publish("PUT", 0, 2, 3)
	p.await("vllm-0 up, vllm-2 up, vllm-3 up")
	if n, from := p.turns(0, 500); n != leaving || from["vllm-1"] != leaving {
		t.Errorf("%d conversations moved when a pod was gone, from %v, want the %d of vllm-1", n, from, leaving)
	}

	apiServerAway(t, f, p)
	rightsAway(t, f, p)
	if n, from := p.turns(0, 500); n > 0 {
		t.Errorf("%d conversations moved in the end: %v", n, from)
	}
}

// apiServerAway stops the API server, kills it, and starts it again: the last set stays, and then the set follows.
func apiServerAway(t *testing.T, f *fleet, p *proxy) {
	t.Helper()
	if err := f.server.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if n, from := p.turns(0, 500); n > 0 {
		t.Errorf("%d conversations moved while the API server hung: %v", n, from)
	}
	stop(f.server)
	eventually(t, "problem", func() bool {
		return strings.Contains(p.get("/api/discovery", "sources")[0].Problem, "connection refused")
	})
	if n, from := p.turns(0, 500); n > 0 || p.get("/api/discovery", "sources")[0].Upstreams != 3 {
		t.Errorf("%d conversations moved while the API server was away: %v", n, from)
	}
	f.up()
	f.publish("PUT", 0, 2, 3, 1)
	p.await("vllm-0 up, vllm-1 up, vllm-2 up, vllm-3 up")
	eventually(t, "end of the problem", func() bool { return p.get("/api/discovery", "sources")[0].Problem == "" })
	p.turns(0, 500)
}

// rightsAway takes the rights and gives them back. Watches that are open go on, so the API server starts again.
func rightsAway(t *testing.T, f *fleet, p *proxy) {
	t.Helper()
	f.must("DELETE", rights+"rolebindings/tether", "")
	stop(f.server)
	f.up()
	eventually(t, "problem", func() bool { return strings.Contains(p.get("/api/discovery", "sources")[0].Problem, "is forbidden") })
	if !bytes.Contains([]byte(p.words()), []byte("vllm-3 up")) {
		t.Error(p.words())
	}
	f.grant()
	f.publish("PUT", 0, 1, 2)
	p.await("vllm-0 up, vllm-1 up, vllm-2 up")
	f.publish("PUT", 0, 1, 2, 3)
	p.await("vllm-0 up, vllm-1 up, vllm-2 up, vllm-3 up")
	p.turns(0, 500)
}
