package identity

import (
	"strings"
	"testing"
	"time"
)

// Trace records the result of each source.
func TestTrace(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) {
		c.Sources = []string{"header:X-A", "header:X-B", "cookie:c", "body:d", "body:e", "opening"}
	})
	for _, c := range []struct {
		req  request
		want string // a letter a source
	}{
		{request{headers: []string{"X-A: 1"}, body: hello, shape: Chat}, "wnnnnn"},
		{request{headers: []string{"X-A: 1", "x_a: 2", "X-B: a b", "Cookie: c=3"}, body: hello, shape: Chat}, "miwnnn"},
		{request{body: `{"d":"` + strings.Repeat("x", 257) + `","e":"5"}`}, "aaaiwn"},
		{request{body: `{"d":"` + strings.Repeat(`\n`, 5000) + `","e":5.5}`}, "aaaiaa"},
		{request{body: hello, shape: Chat}, "aaaaaw"},
		{request{body: hello}, "aaaaaa"},
		{request{body: `{"previous_response_id":"r","input":"hi"}`, shape: Responses}, "aaaaaa"},
		{request{body: `"d"`}, "aaaaaa"},
		{request{headers: []string{"X-A: undefined", "x_a: 1"}, body: hello, shape: Chat}, "wnnnnn"},
		{request{headers: []string{"X-A: {{id}}", "X-B: a b", "Cookie: c=null"}, body: `{"d":"[object Object]","e":"None"}`}, "uiuuua"},
	} {
		s := c.req.search(id)
		found := s.Trace()
		var i Identity
		s.Identify(&i, false, nil, time.Time{})
		var got strings.Builder
		ignored, winner := 0, Source{}
		for _, f := range found {
			got.WriteByte("naiumw"[f.Finding])
			switch f.Finding {
			case invalidID, twoIDs:
				ignored++
			case won:
				winner = f.Source
			}
		}
		if got.String() != c.want || i.Source != winner || s.Ignored != ignored {
			t.Errorf("%+v: %s, want %s; the winner is %v, ignored %d", c.req, got.String(), c.want, i.Source, s.Ignored)
		}
	}
}
