package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// collection is the objects of one kind that a label selector matches.
type collection struct {
	what     string // for errors: "the EndpointSlices"
	path     string // of the API, with %s for the namespace
	selector string
	metadata bool // the API server is asked for the metadata of the objects alone
	limit    int  // of objects
}

// times are the limits of time of requests.
type times struct {
	answer  time.Duration // of a list, and of the head of a watch
	silence time.Duration // of a watch: the API server sends a bookmark every minute
	watch   time.Duration // of a whole watch, which the API server ends; up to twice that
	pause   time.Duration // after the first failure
}

func defaultTimes() times {
	return times{answer: 15 * time.Second, silence: 150 * time.Second, watch: 5 * time.Minute, pause: 500 * time.Millisecond}
}

const (
	pageSize   = 200      // objects of one answer to a list
	maxAnswer  = 64 << 20 // bytes of such an answer
	maxEvent   = 8 << 20  // bytes of one event of a watch
	maxMessage = 512      // bytes of an error that the API server sends
)

// statusError is an error that the API server reports.
type statusError struct {
	what string
	status
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the API server refuses %s: %d %.*s", e.what, e.Code, maxMessage, e.Message)
}

// isGone reports whether the API server no longer knows the version that was asked for.
func isGone(err error) bool {
	var s *statusError
	return errors.As(err, &s) && (s.Code == http.StatusGone || s.Reason == "Expired" || s.Reason == "Gone")
}

// connection is a collection in a cluster.
type connection struct {
	*collection
	access *access
	client *http.Client
	times  times
	url    string
}

// connect returns the collection in a namespace, "" for the default one. release closes its connections.
func (c *collection) connect(a *access, namespace string, limits times) (conn *connection, release func()) {
	transport := a.transport()
	conn = &connection{collection: c, access: a, client: &http.Client{Transport: transport, CheckRedirect: noRedirect}, times: limits}
	conn.url = a.server + fmt.Sprintf(c.path, url.PathEscape(cmp.Or(namespace, a.namespace)))
	return conn, transport.CloseIdleConnections
}

// noRedirect keeps the token at the API server.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// get asks for the collection. The caller closes the body of the answer, which has status 200.
func (c *connection) get(ctx context.Context, query url.Values) (*http.Response, error) {
	if c.selector != "" {
		query.Set("labelSelector", c.selector)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", c.accept(query.Has("watch")))
	if err := c.access.authorize(r); err != nil {
		return nil, err
	}
	res, err := c.client.Do(r)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	if res.StatusCode != http.StatusOK {
		defer func() { _ = res.Body.Close() }() // nothing was written
		return nil, c.refusal(res)
	}
	return res, nil
}

// accept returns how the API server should show the objects. It shows no objects as a list in a watch: it would send none.
func (c *connection) accept(watch bool) string {
	switch {
	case !c.metadata:
		return "application/json"
	case watch:
		return "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
	}
	return "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
}

// refusal reads the error that the API server sends.
func (c *connection) refusal(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, 16*maxMessage)) // what arrived says enough
	e := &statusError{what: c.what}
	if json.Unmarshal(text, &e.status) != nil {
		e.Message = http.StatusText(res.StatusCode)
	}
	e.Code = res.StatusCode
	return e
}

// failure is the reason why a request failed: the cause of the end of ctx, or err without the URL.
func (c *connection) failure(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("the API server does not give %s: %w", c.what, err)
}

// page is an answer to a list.
type page struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// list returns all objects, and the version from which a watch goes on.
func (c *connection) list(ctx context.Context) (items []json.RawMessage, version string, err error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for {
		p, err := c.page(ctx, query)
		switch {
		case err != nil:
			return nil, "", err
		case len(items)+len(p.Items) > c.limit:
			return nil, "", fmt.Errorf("the API server has more than %d of %s", c.limit, c.what)
		case p.Metadata.ResourceVersion == "":
			return nil, "", fmt.Errorf("the API server gives %s without a version", c.what)
		}
		items = append(items, p.Items...)
		if p.Metadata.Continue == "" {
			return items, p.Metadata.ResourceVersion, nil
		}
		if len(p.Items) == 0 {
			return nil, "", fmt.Errorf("the API server gives %s on empty pages", c.what)
		}
		query.Set("continue", p.Metadata.Continue)
	}
}

// errSilent is the cause of the end of requests that took too long.
var errSilent = errors.New("no answer in time")

func (c *connection) page(ctx context.Context, query url.Values) (*page, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.times.answer, errSilent)
	defer cancel()
	res, err := c.get(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // nothing was written
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	var p page
	if len(text) > maxAnswer {
		return nil, c.failure(ctx, fmt.Errorf("an answer of more than %d MiB", maxAnswer>>20))
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, c.failure(ctx, errors.New("an answer that is no list"))
	}
	return &p, nil
}

// event is a message of a watch.
type event struct {
	Type   string          `json:"type"` // ADDED, MODIFIED, DELETED, BOOKMARK or ERROR
	Object json.RawMessage `json:"object"`
}

// watch calls take for each event after version, until the API server ends the watch or a message is late.
func (c *connection) watch(ctx context.Context, version string, take func(event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alarm := time.AfterFunc(c.times.answer, func() { cancel(errSilent) })
	defer alarm.Stop()
	res, err := c.get(ctx, url.Values{
		"watch": {"true"}, "allowWatchBookmarks": {"true"}, "resourceVersion": {version},
		"timeoutSeconds": {strconv.Itoa(int((c.times.watch + rand.N(c.times.watch)) / time.Second))}, // replicas do not all return at once
	})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // nothing was written
	body := &bounded{r: res.Body}
	events := json.NewDecoder(body)
	for {
		alarm.Reset(c.times.silence)
		body.left = maxEvent
		var e event
		if err := events.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return c.failure(ctx, err)
		}
		if e.Type == "ERROR" {
			s := &statusError{what: c.what}
			_ = json.Unmarshal(e.Object, &s.status) // an error without a reason is one all the same
			return s
		}
		if err := take(e); err != nil {
			return err
		}
	}
}

// bounded reads at most left bytes.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, fmt.Errorf("an event of more than %d MiB", maxEvent>>20)
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
