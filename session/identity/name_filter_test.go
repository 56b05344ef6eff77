package identity

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tether/http1"
)

// A name that is the same as one of the filter for servers passes, however it is spelled.
func TestNameFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching("[!#$%&'*+.^`|~0-9A-Za-z_-]{1,64}").Draw(t, "name")
		var f nameFilter
		f.add(string(http1.FoldName(make([]byte, maxHeaderName), []byte(name))))
		if !f.mayHave([]byte(name)) {
			t.Errorf("%q does not pass", name)
		}
	})
	var f nameFilter
	f.add("x-session-id")
	for _, name := range []string{"", "content-type", "X-Session-Ids", string(make([]byte, 100))} {
		if f.mayHave([]byte(name)) {
			t.Errorf("%q passes", name)
		}
	}
	long := strings.Repeat("n", maxHeaderName+1)
	f.add(long)
	if !f.mayHave([]byte(long)) || f.mayHave([]byte(long[1:])) {
		t.Error("a name that is longer than any header's does not pass alone")
	}
}
