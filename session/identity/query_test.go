package identity

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func identifyQuery(id *Identifier, query string, headers ...string) (Identity, *Search) {
	s := new(Search)
	s.Begin(id)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		s.Header([]byte(name), []byte(value))
	}
	s.Query([]byte(query))
	var i Identity
	s.Identify(&i, true, nil, time.Time{})
	return i, s
}

// A parameter counts like the field of its name in a body: source, id, use of the id, and model.
func TestQueryTakesThePlaceOfABody(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, field := range []string{"session_id", "prompt_cache_key", "conversation", "conversation_id"} {
		body, ofBody := request{body: fmt.Sprintf(`{"model":"m","%s":"s-1"}`, field)}.identify(id)
		for _, query := range []string{"%s=s-1&model=m", "model=m&%s=s-1", "a&&=&model=%%6d&%s=%%73%%2D1", "%s=+s-1%%20&model=m", "%[1]s=s-1&%[1]s=s%%2d1&model=m&model=m"} {
			q, ofQuery := identifyQuery(id, fmt.Sprintf(query, field))
			if q != body || string(ofQuery.Model) != string(ofBody.Model) {
				t.Errorf("%s: %+v and model %q, in a body %+v and %q", query, q, ofQuery.Model, body, ofBody.Model)
			}
		}
	}
	inBody, _ := request{body: `{"session_id":"a\\b\\u0041"}`}.identify(id)
	if q, _ := identifyQuery(id, "session_id=a%5Cb%5cu0041"); q != inBody || q.Source.Kind != FromBody {
		t.Errorf("an id with backslashes: %+v, in a body %+v", q, inBody)
	}
	if q, _ := identifyQuery(id, "session_id=q", "X-Session-Id: h"); string(q.ID()) != "h" {
		t.Errorf("the query wins over the header: %s", q.ID())
	}
	if q, _ := identifyQuery(id, "prompt_cache_key=later&session_id=first"); q.Source.Name != "session_id" {
		t.Errorf("the order of sources is not that of parameters: %v", q.Source)
	}
}

func TestQueriesWithoutID(t *testing.T) {
	id := mustIdentifier(t, nil)
	for query, ignored := range map[string]int{
		"": 0, "&": 0, "=": 0, "session_id": 0, "session_id=": 0, "session_id=%20+": 0, "Session_Id=x": 0, "metadata.user_id=user_a_session_b": 0, "opening=x": 0, "messages=%5B%5D": 0,
		"session_id=a&session_id=b": 1, "session_id=a%20b": 1, "session_id=a+b": 1, "session_id=%00": 1, "session_id=%ff": 1,
		"session_id=" + strings.Repeat("x", 257): 1, "session_id=" + strings.Repeat("%78", 257): 1, "session_id=" + strings.Repeat("%78", 100_000): 1,
	} {
		q, s := identifyQuery(id, query)
		if q.Source.Kind != 0 || !q.Synthetic() || len(q.ID()) != 36 || s.Ignored != ignored {
			t.Errorf("%.40q: %+v, %d ignored, want a random id and %d", query, q.Source, s.Ignored, ignored)
		}
	}
	for query, model := range map[string]string{
		"": "", "model=": "", "model=a&model=b": "", "model=a&model=%61": "a", "model=my%2Fllama%2b1": "my/llama+1", "model=%zz%4": "%zz%4",
		"model=" + strings.Repeat("m", 512): strings.Repeat("m", 512), "model=" + strings.Repeat("m", 513): strings.Repeat("m", 512), "model=" + strings.Repeat("%6d", 2000): strings.Repeat("m", 512),
	} {
		if _, s := identifyQuery(id, query); string(s.Model) != model {
			t.Errorf("%.40q: model %.40q, want %.40q", query, s.Model, model)
		}
	}
}

// An alias in a query counts as its model. The query itself stays as it is.
func TestAliasInQuery(t *testing.T) {
	id := withAliases(t, map[string]string{"whisper-1": "my-whisper"})
	_, s := identifyQuery(id, "session_id=s&model=whisper%2D1")
	if string(s.Model) != "my-whisper" || s.Edit.Text != nil {
		t.Errorf("model %q, %+v", s.Model, s.Edit)
	}
}

// After Identify a Search holds nothing of the query, and nothing of one request reaches the next.
func TestQueryIsForgotten(t *testing.T) {
	id := mustIdentifier(t, nil)
	query := []byte("model=model-of-a&session_id=%78%79")
	s := new(Search)
	s.Begin(id)
	s.Query(query)
	decoded := s.queryBuf
	s.Identify(new(Identity), true, nil, time.Time{})
	for i := range query {
		query[i] = 'B'
	}
	for _, c := range decoded[:cap(decoded)] {
		if c != 0 {
			t.Fatalf("the decoded query stays in memory: %q", decoded[:cap(decoded)])
		}
	}
	if string(s.Model) != "model-of-a" || s.queryBuf != nil {
		t.Errorf("model %q after another request has overwritten the query", s.Model)
	}
	s.Begin(id)
	s.Body([]byte("no JSON"), Opaque)
	var i Identity
	if s.Identify(&i, true, nil, time.Time{}); len(i.ID()) > 0 {
		t.Errorf("an id is drawn as if there were a query: %s", i.ID())
	}
}

// FuzzQuery compares decoded parts of queries with net/url.
func FuzzQuery(f *testing.F) {
	f.Add([]byte("session_id=%61+b&model=x%2"))
	f.Add([]byte("a=%zz&%=+"))
	id := mustIdentifier(f, nil)
	f.Fuzz(func(t *testing.T, query []byte) {
		identifyQuery(id, string(query))
		want, err := url.QueryUnescape(string(query))
		if err != nil || len(query) == 0 {
			return
		}
		buf := make([]byte, 0, len(query))
		if got := appendDecoded(buf, query); string(got) != want || &got[:1][0] != &buf[:1][0] {
			t.Fatalf("%q decodes to %q, want %q, in the buffer that was given", query, got, want)
		}
	})
}
