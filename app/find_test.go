package app

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	dnslib "github.com/miekg/dns"

	"tether/config"
	"tether/discovery/dns"
	"tether/discovery/kube"
)

// cluster starts an API server of Kubernetes over TLS, which lists objects and is silent in a watch. It returns a kubeconfig for it. With
// objects "", the server answers nothing at all.
func cluster(t *testing.T, objects string) (kubeconfig string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if objects == "" || r.URL.Query().Has("watch") {
			<-r.Context().Done()
			return
		}
		fmt.Fprintf(w, `{"metadata":{"resourceVersion":"1"},"items":[%s]}`, objects)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	ca := write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return write("kubeconfig", fmt.Sprintf(`{current-context: c, contexts: [{name: c, context: {cluster: k, user: u, namespace: prod}}],
clusters: [{name: k, cluster: {server: %q, certificate-authority: %q}}], users: [{name: u, user: {token: abc}}]}`, server.URL, ca))
}

// Find gives the upstreams that a tether with the same configuration has, from every kind of source.
func TestFind(t *testing.T) {
	t.Parallel()
	z := newZone(t)
	z.set(dnslib.RcodeSuccess, "127.0.1.1", "127.0.1.2")
	file := filepath.Join(t.TempDir(), "list.yaml")
	writeList(t, file, "http://127.0.0.1:2", "http://127.0.0.1:3", "http://127.0.0.1:1")
	pod := `{"metadata":{"name":"vllm-x"},"addressType":"IPv4","ports":[{"port":1}],"endpoints":[{"addresses":["127.0.1.3"],"targetRef":{"kind":"Pod","name":"pod-7"}}]}`
	s := startTether(t, func(c *config.Config) {
		c.Discovery = []config.Discovery{
			{File: file},
			{DNS: dns.Config{Name: "vllm.example", Port: 1, Resolver: z.addr}},
			{Kubernetes: kube.Config{Service: "vllm", Kubeconfig: cluster(t, pod)}},
		}
	}, "http://127.0.0.1:1")
	specs, problems, err := Find(t.Context(), s.app.settings.Load().Config)
	var names []string
	for i := range specs {
		names = append(names, specs[i].Name)
	}
	if want := "[127.0.0.1:1 vllm-0 vllm-1 127.0.1.1:1 127.0.1.2:1 pod-7]"; err != nil || fmt.Sprint(names) != want {
		t.Errorf("%v, %v, want %s", names, err, want)
	}
	if want := `[file:` + file + `: "vllm-2" does not count: upstreams has a server at its address already]`; fmt.Sprint(problems) != want {
		t.Errorf("%v, want %s", problems, want)
	}
	s.awaitUpstreams(6)
	if inForce := s.app.settings.Load().specs; !reflect.DeepEqual(specs, inForce) {
		t.Errorf("%+v, and in force is %+v", specs, inForce)
	}
	http.DefaultClient.CloseIdleConnections()
}

// Sources that cannot be asked are an error that names each with its reason, after a bounded time.
func TestFindWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cfg := config.Default()
	gone := filepath.Join(t.TempDir(), "gone.yaml")
	cfg.Discovery = []config.Discovery{
		{File: gone},
		{DNS: dns.Config{Name: "vllm.example", Port: 1, Resolver: silent.LocalAddr().String()}},
		{Kubernetes: kube.Config{Service: "vllm", Kubeconfig: cluster(t, "")}},
	}
	begin := time.Now()
	specs, _, err := Find(t.Context(), cfg)
	if took := time.Since(begin); took < firstLook || took > patience {
		t.Errorf("took %v", took)
	}
	if err == nil || specs != nil {
		t.Fatalf("%v, %v", specs, err)
	}
	for _, want := range []string{
		"discovery: file:" + gone + ` has found nothing within 5s: `,
		"discovery: dns:vllm.example has found nothing within 5s: the resolver " + silent.LocalAddr().String() + ": no answer in time",
		"discovery: kubernetes:vllm has found nothing within 5s: it has not answered yet",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
