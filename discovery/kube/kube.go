// Package kube finds the pods of a Kubernetes service: it lists and watches the EndpointSlices of the service, and the
// annotations of its pods if the configuration has a selector for them.
//
// It speaks to the API over net/http, without client-go: docs/ARCHITECTURE.md has the reason and the figures. A watch goes on from the
// last version that it saw, bookmarks included. If the API server no longer knows that version, the objects are listed again.
// A watch without any message is taken for dead. Nothing that the API server fails to do removes a server, and neither does a service that has
// no EndpointSlice at all, because it was deleted.
//
// A server has the name of its pod. A pod that is not ready, or that is terminating, stays in the set and gets no new sessions;
// a pod that is gone leaves the set at once. Package app runs the sources.
//
// Goroutines: the watch of the pods, which Run starts and awaits.
//
// The types of objects.go have no rules. The rules of collection.go and stream.go are tested in kube_test.go.
package kube

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"tether/discovery"
)

// Source follows one service.
type Source struct {
	cfg   Config
	open  func() (*access, error)
	times times

	mu     sync.Mutex
	report discovery.Report       // guarded by mu: for one call at a time
	slices *store[*endpointSlice] // guarded by mu
	pods   *store[*object]        // guarded by mu; nil without a selector
	last   map[string]*object     // guarded by mu: the pods of the last set
}

// New makes a source of a valid configuration.
func New(cfg Config) *Source {
	s := &Source{cfg: cfg, open: cfg.open, times: defaultTimes(), slices: &store[*endpointSlice]{make: func() *endpointSlice { return &endpointSlice{} }, limit: maxSlices}}
	if cfg.PodSelector != "" {
		s.pods = &store[*object]{make: func() *object { return &object{} }, limit: maxPods}
	}
	return s
}

// Limits of the objects. An EndpointSlice has up to 100 endpoints, and seldom few.
const (
	maxSlices = 1024
	maxPods   = 2 * discovery.MaxServers
)

// Run follows the service until ctx ends, and returns nil.
func (s *Source) Run(ctx context.Context, report discovery.Report) error {
	s.report = report
	var pods sync.WaitGroup
	if s.pods != nil {
		stream := follow(s, s.pods, &collection{
			what: "the pods", path: "/api/v1/namespaces/%s/pods", selector: s.cfg.PodSelector, limit: maxPods, metadata: true,
		})
		pods.Add(1)
		go stream.runIn(ctx, &pods)
	}
	follow(s, s.slices, &collection{
		what: "the EndpointSlices", path: "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices", selector: "kubernetes.io/service-name=" + s.cfg.Service,
		limit: maxSlices,
	}).run(ctx)
	pods.Wait()
	return nil
}

// runIn runs the stream as one of a group.
func (s *stream) runIn(ctx context.Context, group *sync.WaitGroup) {
	defer group.Done()
	s.run(ctx)
}

// follow makes the stream that fills a store.
func follow[T interface{ meta() *metadata }](s *Source, to *store[T], c *collection) *stream {
	return &stream{
		collection: c, open: s.open, namespace: s.cfg.Namespace, times: s.times,
		replace: func(items []json.RawMessage) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if err := to.replace(items); err != nil {
				return err
			}
			s.publish()
			return nil
		},
		apply: func(e event) (string, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			version, err := to.apply(e)
			if err == nil {
				s.publish()
			}
			return version, err
		},
		failed: func(err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.report(nil, err)
		},
	}
}

// errNoSlice is the reason why the last set stays although the API server answers.
var errNoSlice = errors.New("the service has no EndpointSlice: it does not exist, or has no selector")

// publish reports the set, once everything has been listed. s.mu is held.
func (s *Source) publish() {
	if s.slices.objects == nil || s.pods != nil && s.pods.objects == nil {
		return
	}
	if len(s.slices.objects) == 0 {
		s.report(nil, errNoSlice)
		return
	}
	e := endpoints{port: s.cfg.Port}
	if s.pods != nil {
		e.pods = s.annotated
	}
	set := e.servers(s.slices.objects)
	s.remember(set)
	s.report(set, e.problem())
}

// annotated returns the pod of a name. A pod that was in the last set is known although it is deleted already. s.mu is held.
func (s *Source) annotated(name string) *object {
	if pod := s.pods.objects[name]; pod != nil {
		return pod
	}
	return s.last[name]
}

// remember keeps the pods of a set. s.mu is held.
func (s *Source) remember(set []discovery.Found) {
	if s.pods == nil {
		return
	}
	pods := make(map[string]*object, len(set))
	for _, f := range set {
		pods[f.Name] = s.annotated(f.Name)
	}
	s.last = pods
}
