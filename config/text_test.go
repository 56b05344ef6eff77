package config

import "testing"

func TestDidYouMean(t *testing.T) {
	known := []string{"upstreams", "session", "health"}
	for key, want := range map[string]string{
		"upstreems": ", did you mean upstreams?", "upstream": ", did you mean upstreams?", "sesion": ", did you mean session?",
		"heatlh": ", did you mean health?", "wealthy": ", did you mean health?", "wealth": ", did you mean health?", "heal": ", did you mean health?",
		"": "", "hea": "", "proxy": "",
	} {
		if got := didYouMean(key, known); got != want {
			t.Errorf("%s%s, want %s", key, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "axc", 1}, {"abc", "ac", 1}, {"ac", "abc", 1}, {"ab", "ba", 2}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
