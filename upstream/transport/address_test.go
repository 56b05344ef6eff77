package transport

import (
	"testing"
)

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]Address{
		"http://10.0.0.1:8000":           {"tcp", "10.0.0.1:8000", "10.0.0.1:8000", false, ""},
		"http://vllm-0.vllm":             {"tcp", "vllm-0.vllm:80", "vllm-0.vllm", false, ""},
		"http://[::1]:8000/":             {"tcp", "[::1]:8000", "[::1]:8000", false, ""},
		"http+unix:///run/vllm/vllm.soc": {"unix", "/run/vllm/vllm.soc", "localhost", false, ""},
		"https://vllm-0.vllm":            {"tcp", "vllm-0.vllm:443", "vllm-0.vllm", true, ""},
		"http://gw/vllm-0":               {"tcp", "gw:80", "gw", false, "/vllm-0"},
		"https://gw:1/a/b.c_~-1/":        {"tcp", "gw:1", "gw:1", true, "/a/b.c_~-1"},
		"http://a/v1/models":             {"tcp", "a:80", "a", false, "/v1/models"},
		"https://10.0.0.1:8443/":         {"tcp", "10.0.0.1:8443", "10.0.0.1:8443", true, ""},
	} {
		if got, err := ParseURL(raw); err != nil || got != want {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	for raw, want := range map[string]string{
		"":                       "no scheme, want http://HOST:PORT, https://HOST:PORT or http+unix:///PATH",
		"10.0.0.1:8000":          "first path segment in URL cannot contain colon",
		"vllm-0":                 "no scheme, want http://HOST:PORT, https://HOST:PORT or http+unix:///PATH",
		"vllm:8000":              `scheme "vllm", want http, https or http+unix`,
		"ftp://a":                `scheme "ftp", want http, https or http+unix`,
		"http://":                "no host, want http://HOST:PORT",
		"http://a?x=1":           "want http://HOST:PORT or http://HOST:PORT/PREFIX, without a user, query or fragment",
		"http://a/p?x=1":         "want http://HOST:PORT or http://HOST:PORT/PREFIX, without a user, query or fragment",
		"http://a/p?":            "want http://HOST:PORT or http://HOST:PORT/PREFIX, without a user, query or fragment",
		"http://a/p#x":           "want http://HOST:PORT or http://HOST:PORT/PREFIX, without a user, query or fragment",
		"http://user:pass@a":     "want http://HOST:PORT or http://HOST:PORT/PREFIX, without a user, query or fragment",
		"https://user@a/p":       "want https://HOST:PORT or https://HOST:PORT/PREFIX, without a user, query or fragment",
		"http://a/p/../q":        "prefix /p/../q, want names of letters, digits and -._~ between slashes, and none of dots alone",
		"http://a/..":            "prefix /.., want names of letters, digits and -._~ between slashes, and none of dots alone",
		"http://a/./p":           "prefix /./p, want names of letters, digits and -._~ between slashes, and none of dots alone",
		"http://a//p":            "prefix //p, want names of letters, digits and -._~ between slashes, and none of dots alone",
		"http://a/p//q":          "prefix /p//q, want names of letters, digits and -._~ between slashes, and none of dots alone",
		"http://a/p//":           "prefix /p/, want names of letters, digits and -._~ between slashes, and none of dots alone",
		"http://a/a%2fb":         "prefix /a%2fb, want names of letters, digits and -._~ between slashes, and none of dots alone",
		"http://a/a%20b":         "prefix /a%20b, want names of letters, digits and -._~ between slashes, and none of dots alone",
		"http://a/a%2eb":         "prefix /a%2eb, want names of letters, digits and -._~ between slashes, and none of dots alone",
		"http://a/p;x":           "prefix /p;x, want names of letters, digits and -._~ between slashes, and none of dots alone",
		"http://a/p/...":         "prefix /p/..., want names of letters, digits and -._~ between slashes, and none of dots alone",
		"https://a/v1":           "prefix /v1, want it without /v1, which is part of every request's own path",
		"http://a/team/v1/":      "prefix /team/v1, want it without /v1, which is part of every request's own path",
		"http://a:0":             "port 0, want 1..65535",
		"http://a:70000":         "port 70000, want 1..65535",
		"http+unix://host/path":  "want http+unix:///PATH/OF/SOCKET",
		"http+unix:relative/soc": "want http+unix:///PATH/OF/SOCKET",
	} {
		if _, err := ParseURL(raw); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
}
