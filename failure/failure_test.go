package failure

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Every kind has a word of its own and a text that can hold no address.
func TestKinds(t *testing.T) {
	words := map[string]bool{}
	for k := range Kind(Count) {
		if k.Word() == "" || words[k.Word()] {
			t.Errorf("kind %d: word %q", k, k.Word())
		}
		words[k.Word()] = true
		if k.Error() == "" || k != Busy && strings.ContainsAny(k.Error(), "0123456789") {
			t.Errorf("kind %d: %q", k, k.Error())
		}
	}
}

// These words are labels of metrics: dashboards know them.
func TestWords(t *testing.T) {
	const want = "answered refused unreachable insecure exhausted stale died malformed timed_out busy declined full leaving client_left"
	const wantOfProbes = "succeeded failed_connection failed_connection insecure no_evidence failed_connection failed_connection " +
		"wrong_answer timed_out wrong_answer wrong_answer wrong_answer wrong_answer no_evidence"
	var words, ofProbes []string
	for k := range Kind(Count) {
		words, ofProbes = append(words, k.Word()), append(ofProbes, k.ProbeWord())
	}
	if got := strings.Join(words, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := strings.Join(ofProbes, " "); got != wantOfProbes {
		t.Errorf("got  %s\nwant %s", got, wantOfProbes)
	}
}

func TestOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Kind
	}{{nil, None}, {Refused, Refused}, {ClientGone, ClientGone}, {errors.New("x"), Cut}} {
		if got := Of(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

func TestKindsAreErrors(t *testing.T) {
	if err := fmt.Errorf("dial: %w", Refused); !errors.Is(err, Refused) || errors.Is(err, Stale) {
		t.Error(err)
	}
	if n := testing.AllocsPerRun(100, func() { sink = Refused }); n != 0 {
		t.Errorf("%v allocations for an error", n)
	}
}

var sink error
