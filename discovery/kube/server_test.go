package kube

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tether/discovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// api is an API server on loopback, over TLS. It keeps objects and the events that made them, as a real one does.
type api struct {
	t      testing.TB
	server *httptest.Server

	mu      sync.Mutex
	version int                       // guarded by mu
	oldest  int                       // guarded by mu: watches before it are gone
	objects map[string]map[string]any // guarded by mu: by path and name
	events  []stored                  // guarded by mu
	changed chan struct{}             // guarded by mu: closed at the next event
	answer  http.HandlerFunc          // guarded by mu: answers in place of the server
	lists   int                       // guarded by mu
	watches int                       // guarded by mu
	tokens  []string                  // guarded by mu: of the requests
	cut     chan struct{}             // guarded by mu: closed to end all watches
	opened  chan int                  // has the number of each watch
}

// stored is an event of an object below a path.
type stored struct {
	version int
	path    string
	text    string
}

func newAPI(t testing.TB) *api {
	t.Helper()
	a := &api{t: t, version: 100, objects: map[string]map[string]any{}, changed: make(chan struct{}), cut: make(chan struct{}), opened: make(chan int, 1000)}
	a.server = httptest.NewTLSServer(a)
	t.Cleanup(a.server.Close)
	return a
}

const (
	slicesPath = "/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices"
	podsPath   = "/api/v1/namespaces/prod/pods"
)

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	answer := a.answer
	if as := strings.Contains(r.Header.Get("Accept"), ";as=PartialObjectMetadata"); as != (r.URL.Path == podsPath) ||
		as && strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") == (r.FormValue("watch") != "") { // a real API server sends no events then
		a.t.Errorf("%s with Accept: %s", r.URL, r.Header.Get("Accept"))
	}
	a.tokens = append(a.tokens, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	a.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case r.FormValue("watch") != "":
		a.watch(w, r)
	default:
		a.list(w, r)
	}
}

// list gives two objects a page.
func (a *api) list(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lists++
	names := slices.Sorted(maps.Keys(a.objects[r.URL.Path]))
	from, _ := strconv.Atoi(r.FormValue("continue"))
	list := map[string]any{"metadata": map[string]any{"resourceVersion": strconv.Itoa(a.version)}}
	items := []any{}
	for i, name := range names {
		if i >= from && i < from+2 {
			items = append(items, a.objects[r.URL.Path][name])
		}
	}
	if from+2 < len(names) {
		list["metadata"].(map[string]any)["continue"] = strconv.Itoa(from + 2)
	}
	list["items"] = items
	if err := json.NewEncoder(w).Encode(list); err != nil {
		a.t.Log(err) // the client has left
	}
}

func (a *api) watch(w http.ResponseWriter, r *http.Request) {
	version, err := strconv.Atoi(r.FormValue("resourceVersion"))
	if err != nil || r.FormValue("allowWatchBookmarks") != "true" || r.FormValue("timeoutSeconds") == "" {
		a.t.Errorf("a watch with %s", r.URL.RawQuery)
	}
	a.mu.Lock()
	a.watches++
	a.opened <- a.watches
	cut, gone := a.cut, version < a.oldest
	a.mu.Unlock()
	if gone {
		fmt.Fprintln(w, `{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}}`)
		return
	}
	w.WriteHeader(200)
	flush(w)
	for {
		a.mu.Lock()
		changed := a.changed
		for _, e := range a.events {
			if e.version > version && e.path == r.URL.Path {
				fmt.Fprintln(w, e.text)
				version = e.version
			}
		}
		a.mu.Unlock()
		flush(w)
		select {
		case <-changed:
		case <-cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

func flush(w http.ResponseWriter) {
	if err := http.NewResponseController(w).Flush(); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// put creates or replaces an object, given as JSON without its metadata; annotations are those of a pod.
func (a *api) put(path, name, text string, annotations map[string]string) {
	a.t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		a.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	kind := "MODIFIED"
	if a.objects[path] == nil {
		a.objects[path] = map[string]any{}
	}
	if a.objects[path][name] == nil {
		kind = "ADDED"
	}
	a.version++
	o["metadata"] = map[string]any{"name": name, "resourceVersion": strconv.Itoa(a.version), "annotations": annotations}
	a.objects[path][name] = o
	a.note(kind, path, o)
}

func (a *api) remove(path, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	o := a.objects[path][name].(map[string]any)
	o["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(a.version)
	delete(a.objects[path], name)
	a.note("DELETED", path, o)
}

// bookmark sends an event without a change.
func (a *api) bookmark(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	a.note("BOOKMARK", path, map[string]any{"metadata": map[string]any{"resourceVersion": strconv.Itoa(a.version)}})
}

// note keeps an event and wakes the watches; a.mu is held.
func (a *api) note(kind, path string, object any) {
	text, err := json.Marshal(map[string]any{"type": kind, "object": object})
	if err != nil {
		a.t.Fatal(err)
	}
	a.events = append(a.events, stored{a.version, path, string(text)})
	close(a.changed)
	a.changed = make(chan struct{})
}

// cutWatches resets all connections of watches.
func (a *api) cutWatches() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.cut)
	a.cut = make(chan struct{})
}

// forget makes watches from a version before now gone.
func (a *api) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	a.oldest = a.version
}

// forgetBeforeLast makes watches from a version before the last event gone.
func (a *api) forgetBeforeLast() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.oldest = a.version
}

func (a *api) replaceBy(answer http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

// awaitWatch waits for the nth watch.
func (a *api) awaitWatch(n int) {
	a.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case got := <-a.opened:
			if got == n {
				return
			}
		case <-limit:
			a.t.Fatalf("watch %d does not come", n)
		}
	}
}

func (a *api) counts() (lists, watches int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lists, a.watches
}

// source is a source of service vllm in namespace prod of this server, with long limits of time and short pauses. It has a service account in a folder.
func (a *api) source(selector string) (s *Source, account string) {
	a.t.Helper()
	u, err := url.Parse(a.server.URL)
	if err != nil {
		a.t.Fatal(err)
	}
	account = a.t.TempDir()
	pemText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw})
	for name, text := range map[string]string{authorityName: string(pemText), namespaceName: "prod\n", tokenName: "one\n"} {
		write(a.t, filepath.Join(account, name), text)
	}
	s = New(Config{Service: "vllm", Port: "http", PodSelector: selector})
	s.times = times{answer: patience, silence: patience, watch: time.Minute, pause: 20 * time.Millisecond}
	s.open = func() (*access, error) {
		c := &access{server: "https://" + u.Host, namespace: "prod", tokenFile: filepath.Join(account, tokenName), tls: &tls.Config{MinVersion: tls.VersionTLS12}}
		return c, c.trust(pemText)
	}
	return s, account
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// slice writes an EndpointSlice of pods with the port http: NAME=ADDRESS, and ! for one that is not ready, - for one that is terminating.
func slice(pods string) string {
	var endpoints []string
	for word := range strings.FieldsSeq(pods) {
		name, ip, _ := strings.Cut(strings.TrimRight(word, "!-"), "=")
		terminating := strings.HasSuffix(word, "-")
		ready := !terminating && !strings.HasSuffix(word, "!")
		endpoints = append(endpoints, fmt.Sprintf(`{"addresses":[%q],"conditions":{"ready":%v,"serving":%v,"terminating":%v},"targetRef":{"kind":"Pod","name":%q}}`,
			ip, ready, ready, terminating, name))
	}
	return `{"addressType":"IPv4","ports":[{"name":"http","protocol":"TCP","port":8000}],"endpoints":[` + strings.Join(endpoints, ",") + `]}`
}

// words writes a set as NAME=ADDRESS, with ! if it gets no sessions, and what annotations say.
func words(set []discovery.Found) string {
	var parts []string
	for _, f := range set {
		word := f.Name + "=" + f.Address
		if f.Drain {
			word += "!"
		}
		if f.Weight != nil {
			word += fmt.Sprint(" weight ", *f.Weight)
		}
		if f.Slot != nil {
			word += fmt.Sprint(" slot ", *f.Slot)
		}
		if f.Models != nil {
			word += fmt.Sprint(" models ", f.Models)
		}
		parts = append(parts, word)
	}
	return strings.Join(parts, ", ")
}

// follower has the reports of a source that runs.
type follower struct {
	t       testing.TB
	reports chan string
}

// start runs a source until the end of the test.
func start(t testing.TB, s *Source) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{t, make(chan string, 1000)}
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(found []discovery.Found, err error) {
			report := words(found)
			if found == nil {
				report = "kept"
			}
			if err != nil {
				report += "; " + err.Error()
			}
			select {
			case f.reports <- report:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the source does not end")
		}
	})
	return f
}

// await waits for a report, skips others, and returns those that were skipped.
func (f *follower) await(want string) (skipped []string) {
	f.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case got := <-f.reports:
			if got == want {
				return skipped
			}
			skipped = append(skipped, got)
		case <-limit:
			f.t.Fatalf("no report %q after %q", want, skipped)
		}
	}
}
