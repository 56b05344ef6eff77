package transport

import (
	"testing"
)

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]Address{
		"http://10.0.0.1:8000":           {"tcp", "10.0.0.1:8000", "10.0.0.1:8000", false},
		"http://vllm-0.vllm":             {"tcp", "vllm-0.vllm:80", "vllm-0.vllm", false},
		"http://[::1]:8000/":             {"tcp", "[::1]:8000", "[::1]:8000", false},
		"http+unix:///run/vllm/vllm.soc": {"unix", "/run/vllm/vllm.soc", "localhost", false},
		"https://vllm-0.vllm":            {"tcp", "vllm-0.vllm:443", "vllm-0.vllm", true},
		"https://10.0.0.1:8443/":         {"tcp", "10.0.0.1:8443", "10.0.0.1:8443", true},
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
		"https://a/v1":           "want https://HOST:PORT and nothing behind it: requests keep the client's path",
		"http://a/v1":            "want http://HOST:PORT and nothing behind it: requests keep the client's path",
		"http://a?x=1":           "want http://HOST:PORT and nothing behind it: requests keep the client's path",
		"http://user:pass@a":     "want http://HOST:PORT and nothing behind it: requests keep the client's path",
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
