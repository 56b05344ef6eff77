package kube

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The set follows the EndpointSlices of the service: ready, not ready, terminating and gone count at once.
func TestEndpointsComeAndGo(t *testing.T) {
	a := newAPI(t)
	for i := range 5 { // three pages
		a.put(slicesPath, fmt.Sprint("vllm-", i), slice(fmt.Sprintf("p-%d=10.0.0.%d", i, i)), nil)
	}
	s, _ := a.source("")
	f := start(t, s)
	const others = "p-2=10.0.0.2:8000, p-3=10.0.0.3:8000, p-4=10.0.0.4:8000"
	f.await("p-0=10.0.0.0:8000, p-1=10.0.0.1:8000, " + others)
	a.put(slicesPath, "vllm-0", slice("p-0=10.0.0.0!"), nil)
	f.await("p-0=10.0.0.0:8000!, p-1=10.0.0.1:8000, " + others)
	a.put(slicesPath, "vllm-0", slice("p-0=10.0.0.0"), nil)
	f.await("p-0=10.0.0.0:8000, p-1=10.0.0.1:8000, " + others)
	a.put(slicesPath, "vllm-0", slice("p-0=10.0.0.0-"), nil)
	f.await("p-0=10.0.0.0:8000!, p-1=10.0.0.1:8000, " + others)
	a.remove(slicesPath, "vllm-0")
	f.await("p-1=10.0.0.1:8000, " + others)
	a.bookmark(slicesPath)
	f.await("p-1=10.0.0.1:8000, " + others)
	if lists, watches := a.counts(); lists != 3 || watches != 1 {
		t.Errorf("%d lists, %d watches", lists, watches)
	}
	for i := range 5 {
		if i > 0 {
			a.put(slicesPath, fmt.Sprint("vllm-", i), slice(""), nil)
		}
	}
	f.await("") // no pods is a set
	for i := range 5 {
		if i > 0 {
			a.remove(slicesPath, fmt.Sprint("vllm-", i))
		}
	}
	f.await("kept; the service has no EndpointSlice: it does not exist, or has no selector")
}

// A connection that is cut costs no list and no report: the watch goes on from its last version, bookmarks included.
func TestWatchGoesOn(t *testing.T) {
	a := newAPI(t)
	a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.1"), nil)
	s, _ := a.source("")
	f := start(t, s)
	f.await("p-0=10.0.0.1:8000")
	a.bookmark(slicesPath)
	f.await("p-0=10.0.0.1:8000")
	a.forgetBeforeLast()
	a.awaitWatch(1)
	a.cutWatches()
	a.awaitWatch(2)
	a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.2"), nil)
	if skipped := f.await("p-0=10.0.0.2:8000"); len(skipped) > 0 {
		t.Errorf("reports %q", skipped)
	}
	if lists, watches := a.counts(); lists != 1 || watches != 2 {
		t.Errorf("%d lists, %d watches", lists, watches)
	}
}

// If the version is gone, the objects are listed again, without a report: that is no error.
func TestGone(t *testing.T) {
	for _, how := range []string{"event", "status"} {
		a := newAPI(t)
		a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.1"), nil)
		s, _ := a.source("")
		f := start(t, s)
		f.await("p-0=10.0.0.1:8000")
		a.awaitWatch(1)
		a.forget()
		if how == "status" {
			a.replaceBy(func(w http.ResponseWriter, r *http.Request) {
				a.replaceBy(nil)
				w.WriteHeader(http.StatusGone)
				fmt.Fprint(w, `{"kind":"Status","code":410,"reason":"Expired","message":"too old"}`)
			})
		}
		a.cutWatches()
		f.await("p-0=10.0.0.1:8000")
		a.put(slicesPath, "vllm-a", slice("p-1=10.0.0.2"), nil)
		if skipped := f.await("p-1=10.0.0.2:8000"); len(skipped) > 0 {
			t.Errorf("%s: reports %q", how, skipped)
		}
		if lists, _ := a.counts(); lists != 2 {
			t.Errorf("%s: %d lists", how, lists)
		}
	}
}

// Whatever the API server does wrong, the last set stays and the reason is reported. Once the API server is well, the set follows again.
func TestAPIServerThatFails(t *testing.T) {
	for want, answer := range map[string]http.HandlerFunc{
		"the API server refuses the EndpointSlices: 403 endpointslices is forbidden": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, `{"kind":"Status","code":403,"reason":"Forbidden","message":"endpointslices is forbidden"}`)
		},
		"the API server refuses the EndpointSlices: 502 Bad Gateway": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) },
		"the API server refuses the EndpointSlices: 307 Temporary Redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://192.0.2.1/", http.StatusTemporaryRedirect)
		},
		"the API server does not give the EndpointSlices: EOF":               func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"the API server does not give the EndpointSlices: no answer in time": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"the API server does not give the EndpointSlices: an answer that is no list": func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("watch") != "" {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprint(w, "<html>welcome</html>")
		},
		"the API server gives the EndpointSlices without a version": func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("watch") != "" {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprint(w, `{"items":[]}`)
		},
		"the API server gives the EndpointSlices on empty pages": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"metadata":{"resourceVersion":"1","continue":"x"},"items":[]}`)
		},
		"the API server has more than 1024 of the EndpointSlices": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"metadata":{"resourceVersion":"1","continue":"x"},"items":[`+strings.Repeat("{},", 999)+`{}]}`)
		},
		"the API server sends an object without a name and a version": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"metadata":{"resourceVersion":"1"},"items":[{}]}`)
		},
		"the API server sends an object that cannot be read": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"metadata":{"resourceVersion":"1"},"items":[{"endpoints":{}}]}`)
		},
		`the API server sends an event "NEWS", want ADDED, MODIFIED, DELETED or BOOKMARK`: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"type":"NEWS","object":{"metadata":{"name":"a","resourceVersion":"1"}}}`)
		},
		"the API server does not give the EndpointSlices: an event of more than 8 MiB": func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("watch") == "" {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprint(w, `{"type":"`)
			for range maxEvent >> 10 {
				if _, err := io.WriteString(w, strings.Repeat("x", 2<<10)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.1"), nil)
			s, _ := a.source("")
			if strings.HasSuffix(want, "no answer in time") {
				s.times.answer = time.Second
			}
			f := start(t, s)
			f.await("p-0=10.0.0.1:8000")
			a.awaitWatch(1)
			a.replaceBy(answer)
			a.cutWatches()
			for _, other := range f.await("kept; " + want) {
				if !strings.HasPrefix(other, "kept; ") {
					t.Errorf("report %s", other)
				}
			}
			a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.2"), nil)
			a.replaceBy(nil)
			f.await("p-0=10.0.0.2:8000")
		})
	}
}

// An API server that stops in the middle of a watch, without a FIN, is noticed by its silence.
func TestWatchThatHangs(t *testing.T) {
	a := newAPI(t)
	a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.1"), nil)
	s, _ := a.source("")
	s.times.silence = 200 * time.Millisecond
	f := start(t, s)
	f.await("p-0=10.0.0.1:8000")
	a.awaitWatch(3) // each watch without an event ends by its silence
	a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.2"), nil)
	f.await("p-0=10.0.0.2:8000")
}

// The token is read for each request.
func TestTokenIsReplaced(t *testing.T) {
	a := newAPI(t)
	a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.1"), nil)
	s, account := a.source("")
	f := start(t, s)
	f.await("p-0=10.0.0.1:8000")
	a.awaitWatch(1)
	write(t, account+"/"+tokenName, "two\n")
	a.cutWatches()
	a.awaitWatch(2)
	a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.2"), nil)
	f.await("p-0=10.0.0.2:8000")
	a.mu.Lock()
	defer a.mu.Unlock()
	if got := fmt.Sprint(a.tokens[:2], a.tokens[len(a.tokens)-1]); got != "[one one]two" {
		t.Error(a.tokens)
	}
}

// With a selector, a server is in the set once its pod has been seen, and keeps its annotations while its endpoint is there.
func TestAnnotationsOfPods(t *testing.T) {
	a := newAPI(t)
	a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.1 p-1=10.0.0.2"), nil)
	a.put(podsPath, "p-0", "{}", map[string]string{weightAnnotation: "0", slotAnnotation: "7", modelsAnnotation: "llama, qwen"})
	s, _ := a.source("app=vllm")
	f := start(t, s)
	const first = "p-0=10.0.0.1:8000 weight 0 slot 7 models [llama qwen]"
	f.await(first + "; pod p-1: not found by pod_selector")
	a.put(podsPath, "p-1", "{}", nil)
	f.await(first + ", p-1=10.0.0.2:8000")
	a.put(podsPath, "p-1", "{}", map[string]string{weightAnnotation: "50"})
	f.await(first + ", p-1=10.0.0.2:8000 weight 50")
	a.remove(podsPath, "p-1")
	f.await(first + ", p-1=10.0.0.2:8000 weight 50")
	a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.1"), nil)
	f.await(first)
	a.put(slicesPath, "vllm-a", slice("p-0=10.0.0.1 p-1=10.0.0.2"), nil)
	f.await(first + "; pod p-1: not found by pod_selector")
}
