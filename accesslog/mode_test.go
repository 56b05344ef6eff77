package accesslog

import (
	"testing"

	"tether/proxy"
)

func TestModes(t *testing.T) {
	fine, failed, cut := proxy.Record{Status: 200}, proxy.Record{Status: 404}, proxy.Record{Status: 200, Reason: "upstream_cut"}
	for mode, want := range map[string]int{"all": 6, "errors": 2, "off": 0, "1/2": 4, "1/100": 2} {
		if got := len(written(t, mode, fine, failed, fine, cut, fine, fine)); got != want {
			t.Errorf("%s: %d lines, want %d", mode, got, want)
		}
	}
	for _, mode := range []string{"", "none", "1/0", "1/-1", "1/x", "2/3", "1/99999999999"} {
		if _, ok := ParseMode(mode); ok {
			t.Errorf("mode %q is accepted", mode)
		}
	}
}
