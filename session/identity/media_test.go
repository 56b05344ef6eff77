package identity

import (
	"strings"
	"testing"
)

// Only the addresses of the web lose their query and their fragment.
func TestWebURL(t *testing.T) {
	long := strings.Repeat("x", maxURL)
	for body, want := range map[string]string{
		"https://h/a?b#c": "https://h/a", "http://h?a": "http://h", "HTTPS://h/a#?": "HTTPS://h/a", `https:\/\/h\/a\u003fb`: "https://h/a", `\u0048ttp://h/?`: "Http://h/",
		"https://h/a": "https://h/a", "https://": "https://", "https://h/a?" + long: "https://h/a",
		"": "", "h": "", `\`: "", `\u00`: "", "http:/h?a": "", "httpx://h?a": "", "data:,a?b": "", "s3://h/a?b": "", " https://h?a": "", "see https://h?a": "",
		"https://h/" + long + "?a": "",
	} {
		var o opening
		borrow(&o)
		if got := string(o.webURL([]byte(body))); got != want {
			t.Errorf("%.80q: %.80q, want %.80q", body, got, want)
		}
	}
}
